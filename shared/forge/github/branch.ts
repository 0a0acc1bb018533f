import type { Octokit } from '@octokit/core'
import { branchName, ownerAndName } from './address.ts'
import type { RepositoryRef } from './address.ts'
import { NotThere, found } from './failure.ts'

/** The commit at the head of a branch (`main`, `agent/7-x`). Undefined: no such branch, an empty repository, or not visible. */
export async function readBranchHead(
  octokit: Octokit,
  repository: RepositoryRef,
  branch: string,
): Promise<string | undefined> {
  const address = { ...ownerAndName(repository), ref: `heads/${branchName(branch)}` }
  try {
    const data = await found(octokit.request('GET /repos/{owner}/{repo}/git/ref/{ref}', address))
    return data?.object.sha
  } catch (error) {
    // 409: the repository has no commit at all.
    if (error instanceof NotThere && error.status === 409) return undefined
    throw error
  }
}
