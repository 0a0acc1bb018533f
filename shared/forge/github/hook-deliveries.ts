import type { Octokit } from '@octokit/core'
import { PermanentError } from '#shared/errors.ts'
import { numeric, ownerAndName } from './address.ts'
import type { RepositoryRef } from './address.ts'
import { isAbsent, Refused } from './failure.ts'
import { PER_PAGE } from './pages.ts'

/** A hook by the forge's own id: of a repository, or the one hook of our App, which only the App itself may ask about. */
export interface HookRef {
  readonly id: string
  /** Undefined for the App's hook. */
  readonly repository: RepositoryRef | undefined
}

/** One attempt to hand over a delivery. */
export interface Attempt {
  readonly id: string
  /** `X-GitHub-Delivery`: the same for every attempt of one delivery. */
  readonly deliveryId: string
  readonly repositoryId: string | null
  readonly at: Date
}

/** A part of a hook's list of attempts, newest first. */
export interface Attempts {
  readonly attempts: readonly Attempt[]
  /** Where the next part begins; undefined at the end of what the forge keeps: about three days. */
  readonly next: string | undefined
}

/**
 * Attempts of a hook's deliveries from the newest, or from a cursor of an earlier answer. `gone`: there is no such hook, or
 * it is not for us to see. `lost`: the forge does not know the cursor any more. RetryLater where it gave no answer.
 */
export async function listAttempts(
  octokit: Octokit,
  hook: HookRef,
  cursor: string | undefined,
): Promise<Attempts | 'gone' | 'lost'> {
  const page = { per_page: PER_PAGE, ...(cursor === undefined ? {} : { cursor }) }
  try {
    const { data, headers } =
      hook.repository === undefined
        ? await octokit.request('GET /app/hook/deliveries', page)
        : await octokit.request('GET /repos/{owner}/{repo}/hooks/{hook_id}/deliveries', {
            ...ownerAndName(hook.repository),
            hook_id: numeric(hook.id),
            ...page,
          })
    return {
      attempts: data.map(({ id, guid, repository_id, delivered_at }) => ({
        id: String(id),
        deliveryId: guid,
        repositoryId: repository_id === null ? null : String(repository_id),
        at: timeOf(delivered_at),
      })),
      next: nextCursor(headers.link),
    }
  } catch (error) {
    if (isAbsent(error)) return 'gone'
    if (error instanceof Refused && cursor !== undefined) return 'lost'
    throw error
  }
}

/**
 * Ask the forge to deliver once more. `gone`: it does not have this attempt any more. Asking twice delivers twice, under one
 * id. `left`: the share of the hour's requests that is left, 0 to 1; 1 where the forge does not say.
 */
export async function requestRedelivery(
  octokit: Octokit,
  hook: HookRef,
  attemptId: string,
): Promise<{ readonly answer: 'asked' | 'gone'; readonly left: number }> {
  const delivery = { delivery_id: numeric(attemptId) }
  try {
    const { headers } =
      hook.repository === undefined
        ? await octokit.request('POST /app/hook/deliveries/{delivery_id}/attempts', delivery)
        : await octokit.request('POST /repos/{owner}/{repo}/hooks/{hook_id}/deliveries/{delivery_id}/attempts', {
            ...ownerAndName(hook.repository),
            hook_id: numeric(hook.id),
            ...delivery,
          })
    const left = Number(headers['x-ratelimit-remaining']) / Number(headers['x-ratelimit-limit'])
    return { answer: 'asked', left: Number.isFinite(left) ? left : 1 }
  } catch (error) {
    // Older than what it repeats (422), or with the hook deleted (404).
    if (isAbsent(error) || error instanceof Refused) return { answer: 'gone', left: 1 }
    throw error
  }
}

/** Only the cursor is taken from a link; no address of an answer is followed. */
function nextCursor(link: string | undefined): string | undefined {
  const [, cursor] = /[?&]cursor=([^&>]{1,400})[^>]*>;\s*rel="next"/.exec(link ?? '') ?? []
  return cursor === undefined ? undefined : decodeURIComponent(cursor)
}

function timeOf(text: string): Date {
  const at = new Date(text)
  if (Number.isNaN(at.getTime())) throw new PermanentError('a delivery without a time')
  return at
}
