import type { GitHub } from './client.ts'
import type { RepositoryRef } from './address.ts'

/**
 * The password for `x-access-token` in git's Basic authentication: an App's token that reads this repository's contents, nothing else and
 * for ten minutes at least, or the machine user's token. It stays in the process that proxies git. RetryLater as for any call.
 */
export function readOnlyGitToken(github: GitHub, repository: RepositoryRef): Promise<string> {
  return github.token(repository, { contents: 'read' })
}
