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
