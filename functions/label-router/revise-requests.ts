import type { Settlement } from '#shared/outbox/deliver.ts'
import type { ReviewEvent } from './event.ts'
import type { Asked, Deps, Forge, Project } from './handler.ts'
import { revise } from './revise.ts'

/** `run:<stage>:revise`, on an issue or on a pull request. */
export function reviseByLabel(deps: Deps, project: Project, forge: Forge, asked: Asked): Promise<Settlement> {
  const { known, ...wish } = asked
  return revise(deps, project, forge, { ...wish, label: known.label })
}

/** A review that requests changes, on a pull request of ours. One review, one run: its id is the key. */
export async function reviseByReview(
  deps: Deps,
  project: Project,
  forge: Forge,
  { review, pull_request: pull, sender }: ReviewEvent,
): Promise<Settlement> {
  const shown = await forge.subject(pull.number)
  if (shown === undefined) return { outcome: 'ignored: the pull request is gone' }
  return revise(deps, project, forge, {
    label: undefined,
    subject: { id: shown.id, number: pull.number, kind: 'pull_request' },
    labelEvent: { id: `review-${review.id}`, createdAt: new Date(review.submitted_at) },
    sender,
    head: review.commit_id,
    review: { id: review.id, body: review.body ?? '' },
    // Nobody has signed the text: what it says now is what the reviewer could see.
    text: ({ title, body }) => Promise.resolve({ title, body }),
  })
}
