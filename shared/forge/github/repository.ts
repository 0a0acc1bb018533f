import type { Octokit } from '@octokit/core'
import type { Endpoints } from '@octokit/types'
import { RetryLater } from '#shared/errors.ts'
import { numeric } from './address.ts'
import type { RepositoryRef } from './address.ts'
import { found } from './failure.ts'

/** A repository as it is now. */
export interface Repository {
  readonly id: string
  readonly fullName: string
  readonly defaultBranch: string
  readonly private: boolean
  readonly archived: boolean
}

/**
 * The repository with this id. Undefined: deleted, or not visible to us; another one that took its name is never answered. RetryLater
 * while it has another name than `fullName`: what is asked under the old name could concern another repository.
 */
export async function readRepository(octokit: Octokit, repository: RepositoryRef): Promise<Repository | undefined> {
  const id = numeric(repository.repositoryId)
  const data = (await found(octokit.request('GET /repositories/{repository_id}', { repository_id: id }))) as
    | Endpoints['GET /repos/{owner}/{repo}']['response']['data']
    | undefined
  if (data === undefined || data.id !== id) return undefined
  if (data.full_name.toLowerCase() !== repository.fullName.toLowerCase()) {
    throw new RetryLater('the repository has another name now', { seconds: 60 })
  }
  return {
    id: String(data.id),
    fullName: data.full_name,
    defaultBranch: data.default_branch,
    private: data.private,
    archived: data.archived === true,
  }
}
