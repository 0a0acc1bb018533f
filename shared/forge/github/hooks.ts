import type { Octokit } from '@octokit/core'
import { numeric, ownerAndName } from './address.ts'
import type { RepositoryRef } from './address.ts'
import { found, isAbsent } from './failure.ts'
import { forward, PER_PAGE } from './pages.ts'

/** Events that the platform wants of a repository. */
export const HOOK_EVENTS: readonly string[] = ['issues', 'issue_comment', 'pull_request', 'pull_request_review']

/** A webhook as it has to be. The forge never shows its secret again. */
export interface WantedHook {
  readonly url: string
  readonly secret: string
}

/**
 * Makes the repository's webhook with this URL, or gives the one that is there our secret and events. A hook with the same
 * path at another address of ours moves here: its id in the path is nobody else's. RetryLater where GitHub does not let us,
 * which it says with 403 or 404.
 */
export async function ensureHook(
  octokit: Octokit,
  repository: RepositoryRef,
  { url, secret }: WantedHook,
): Promise<{ readonly id: string; readonly did: 'created' | 'adopted' }> {
  const settings = { active: true, events: [...HOOK_EVENTS], config: { url, secret, content_type: 'json' } }
  const existing = await findHook(octokit, repository, new URL(url).pathname)
  const address = ownerAndName(repository)
  if (existing === undefined) {
    const { data } = await octokit.request('POST /repos/{owner}/{repo}/hooks', { ...address, name: 'web', ...settings })
    return { id: String(data.id), did: 'created' }
  }
  await octokit.request('PATCH /repos/{owner}/{repo}/hooks/{hook_id}', {
    ...address,
    hook_id: numeric(existing),
    ...settings,
  })
  return { id: existing, did: 'adopted' }
}

/** Takes the webhook whose URL has this path away. One that is not there is a success. */
export async function removeHook(
  octokit: Octokit,
  repository: RepositoryRef,
  path: string,
): Promise<'removed' | 'absent'> {
  const id = await findHook(octokit, repository, path)
  if (id === undefined) return 'absent'
  const address = { ...ownerAndName(repository), hook_id: numeric(id) }
  await found(octokit.request('DELETE /repos/{owner}/{repo}/hooks/{hook_id}', address))
  return 'removed'
}

/** Have a ping sent to a hook by the forge's id of it, signed as every delivery. `gone`: there is no such hook. */
export async function pingHook(octokit: Octokit, repository: RepositoryRef, hookId: string): Promise<'asked' | 'gone'> {
  const address = { ...ownerAndName(repository), hook_id: numeric(hookId) }
  try {
    await octokit.request('POST /repos/{owner}/{repo}/hooks/{hook_id}/pings', address)
    return 'asked'
  } catch (error) {
    if (isAbsent(error)) return 'gone'
    throw error
  }
}

async function findHook(octokit: Octokit, repository: RepositoryRef, path: string): Promise<string | undefined> {
  const address = ownerAndName(repository)
  const pages = (page: number) =>
    octokit.request('GET /repos/{owner}/{repo}/hooks', { ...address, per_page: PER_PAGE, page })
  for await (const { id, config } of forward(pages)) {
    if (URL.canParse(config.url ?? '') && new URL(config.url ?? '').pathname === path) return String(id)
  }
  return undefined
}
