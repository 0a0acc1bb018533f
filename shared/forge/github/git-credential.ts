import type { GitHub } from './client.ts'
import type { RepositoryRef } from './address.ts'

/**
 * The password for `x-access-token` in git's Basic authentication: an App's token that reads this repository's contents and nothing else
 * and, unless fresh from the forge, lives ten minutes more, or the machine user's token. It stays in the process that proxies git. RetryLater as for any call.
 */
export function readOnlyGitToken(github: GitHub, repository: RepositoryRef): Promise<string> {
  return github.token(repository, { contents: 'read' })
}
