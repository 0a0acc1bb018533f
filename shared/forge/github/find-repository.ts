import { ownerAndName } from './address.ts'
import type { RepositoryRef } from './address.ts'
import type { GitHub } from './client.ts'
import { found, Refused } from './failure.ts'

/** A repository that we see, and what an App's installation may do there, by GitHub's names; absent for a machine user. */
export interface FoundRepository extends RepositoryRef {
  readonly permissions?: Readonly<Record<string, string>>
}

/**
 * The repository that has this name now, `owner/name`; from then on it is known by its id. Undefined: there is none, we may
 * not see it, or the App is not installed on it. A redirect from an older name is no answer (RetryLater).
 */
export async function findRepository(
  github: GitHub,
  auth: { readonly kind: 'app' | 'token' },
  fullName: string,
): Promise<FoundRepository | undefined> {
  const address = ownerAndName({ fullName, repositoryId: '', installationId: null })
  const octokit = github.self()
  if (auth.kind === 'token') {
    const data = await found(octokit.request('GET /repos/{owner}/{repo}', address))
    return data && { fullName: data.full_name, repositoryId: String(data.id), installationId: null }
  }
  const installation = await found(octokit.request('GET /repos/{owner}/{repo}/installation', address))
  if (installation === undefined) return undefined
  // The App itself sees no repository; a token for one names it with its id.
  const token = await octokit
    .request('POST /app/installations/{installation_id}/access_tokens', {
      installation_id: installation.id,
      repositories: [address.repo],
      permissions: { metadata: 'read' },
    })
    .catch((error: unknown) => {
      // Of the same owner, and not one that the installation covers.
      if (error instanceof Refused) return undefined
      throw error
    })
  const [repository] = token?.data.repositories ?? []
  return (
    repository && {
      fullName: repository.full_name,
      repositoryId: String(repository.id),
      installationId: String(installation.id),
      permissions: installation.permissions as Record<string, string>,
    }
  )
}
