import { ownerAndName } from './address.ts'
import type { RepositoryRef } from './address.ts'
import type { GitHub } from './client.ts'
import { found } from './failure.ts'

/**
 * The repository that has this name now, `owner/name`; from then on it is known by its id. Undefined: there is none, we may
 * not see it, or the App is not installed on it. A redirect from an older name is no answer (RetryLater).
 */
export async function findRepository(
  github: GitHub,
  auth: { readonly kind: 'app' | 'token' },
  fullName: string,
): Promise<RepositoryRef | undefined> {
  const address = ownerAndName({ fullName, repositoryId: '', installationId: null })
  const octokit = github.self()
  if (auth.kind === 'token') {
    const data = await found(octokit.request('GET /repos/{owner}/{repo}', address))
    return data && { fullName: data.full_name, repositoryId: String(data.id), installationId: null }
  }
  const installation = await found(octokit.request('GET /repos/{owner}/{repo}/installation', address))
  if (installation === undefined) return undefined
  // The App itself sees no repository; a token for one names it with its id.
  const { data } = await octokit.request('POST /app/installations/{installation_id}/access_tokens', {
    installation_id: installation.id,
    repositories: [address.repo],
    permissions: { metadata: 'read' },
  })
  const [repository] = data.repositories ?? []
  return (
    repository && {
      fullName: repository.full_name,
      repositoryId: String(repository.id),
      installationId: String(installation.id),
    }
  )
}
