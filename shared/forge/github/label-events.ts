import type { Octokit } from '@octokit/core'
import { numeric, ownerAndName } from './address.ts'
import type { RepositoryRef } from './address.ts'
import { NotThere } from './failure.ts'
import { PER_PAGE, backward } from './pages.ts'

/** A label as it was set: the forge's own record, whose id is the same for every delivery that tells of it. */
export interface LabelEvent {
  readonly id: string
  /** Whole seconds. */
  readonly createdAt: Date
  readonly actorId: string
  readonly actorLogin: string
  /** The same label was taken off later, by anybody. It may have been set again since: that is another event. */
  readonly removed: boolean
}

/**
 * The latest `labeled` event with this label by this actor, created not after `notAfter` (the payload's `updated_at` and two seconds).
 * Undefined: not visible yet, or no such subject; ask again. RetryLater where GitHub gave no answer.
 */
export async function findLabelEvent(
  octokit: Octokit,
  repository: RepositoryRef,
  wanted: { readonly number: number; readonly label: string; readonly actorId: string; readonly notAfter: Date },
): Promise<LabelEvent | undefined> {
  const address = { ...ownerAndName(repository), issue_number: numeric(wanted.number) }
  const label = wanted.label.normalize('NFC')
  const events = backward((page) =>
    octokit.request('GET /repos/{owner}/{repo}/issues/{issue_number}/events', { ...address, per_page: PER_PAGE, page }),
  )
  let removed = false
  try {
    for await (const event of events) {
      if (!('label' in event) || event.label.name.normalize('NFC') !== label) continue
      removed ||= event.event === 'unlabeled'
      const actor = event.actor as typeof event.actor | null
      if (event.event !== 'labeled' || actor === null || String(actor.id) !== wanted.actorId) continue
      const createdAt = new Date(event.created_at)
      if (createdAt > wanted.notAfter) continue
      return { id: String(event.id), createdAt, actorId: String(actor.id), actorLogin: actor.login, removed }
    }
    return undefined
  } catch (error) {
    if (error instanceof NotThere) return undefined
    throw error
  }
}

/** A change of a label anywhere in a repository, with the subject as it is now. */
export interface LabelChange {
  readonly id: string
  readonly kind: 'labeled' | 'unlabeled'
  /** As it is spelled on the forge. */
  readonly label: string
  readonly createdAt: Date
  /** Null for a deleted account. */
  readonly actor: { readonly id: string; readonly login: string; readonly type: string } | null
  readonly subject: {
    /** The `issue.id` of webhooks, of pull requests too. */
    readonly id: string
    readonly number: number
    readonly kind: 'issue' | 'pull_request'
    readonly open: boolean
    readonly labels: readonly string[]
  }
}

/** One page of a repository's label changes, newest first. Other events are on the same pages, so one may be short or empty. */
export interface LabelChanges {
  readonly changes: readonly LabelChange[]
  /** Time of the oldest event on the page, of any kind; undefined for an empty page. */
  readonly oldest: Date | undefined
  readonly isLast: boolean
}

/** A page, from 1, of what happened to labels in a repository. RetryLater where GitHub gave no answer or the repository is not there. */
export async function listLabelChanges(
  octokit: Octokit,
  repository: RepositoryRef,
  page: number,
): Promise<LabelChanges> {
  const address = { ...ownerAndName(repository), per_page: PER_PAGE, page }
  const { data } = await octokit.request('GET /repos/{owner}/{repo}/issues/events', address)
  const changes = data.flatMap((event): LabelChange[] => {
    const { event: kind, label, issue, actor } = event
    // The issue of an event is null once it was deleted or transferred.
    if ((kind !== 'labeled' && kind !== 'unlabeled') || !label?.name || !issue) return []
    return [
      {
        id: String(event.id),
        kind,
        label: label.name,
        createdAt: new Date(event.created_at),
        actor: actor && { id: String(actor.id), login: actor.login, type: actor.type },
        subject: {
          id: String(issue.id),
          number: issue.number,
          kind: issue.pull_request ? 'pull_request' : 'issue',
          open: issue.state === 'open',
          labels: issue.labels.map((each) => (typeof each === 'string' ? each : (each.name ?? ''))),
        },
      },
    ]
  })
  const last = data.at(-1)
  return { changes, oldest: last && new Date(last.created_at), isLast: data.length < PER_PAGE }
}
