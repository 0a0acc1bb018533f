import type { Octokit } from '@octokit/core'
import type { Endpoints } from '@octokit/types'
import { RetryLater } from '#shared/errors.ts'
import { numeric, ownerAndName } from './address.ts'
import type { RepositoryRef } from './repository-ref.ts'
import { Refused, found } from './failure.ts'
import { GHOST } from './ghost.ts'
import { PER_PAGE, backward } from './pages.ts'

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

/** An issue or a pull request as it is now. */
export interface Subject {
  /** GitHub's id of the issue, also of the issue side of a pull request: the `issue.id` of webhooks. */
  readonly id: string
  readonly number: number
  readonly kind: 'issue' | 'pull_request'
  readonly state: 'open' | 'closed'
  readonly locked: boolean
  readonly title: string
  /** Empty where there is none. */
  readonly body: string
  readonly labels: readonly string[]
  readonly authorId: string
}

/** A subject. Undefined: deleted, transferred to another repository, or not visible. RetryLater where GitHub gave no answer or the repository has another name now. */
export async function readSubject(
  octokit: Octokit,
  repository: RepositoryRef,
  number: number,
): Promise<Subject | undefined> {
  const address = { ...ownerAndName(repository), issue_number: numeric(number) }
  try {
    const data = await found(octokit.request('GET /repos/{owner}/{repo}/issues/{issue_number}', address))
    if (data === undefined) return undefined
    return {
      id: String(data.id),
      number: data.number,
      kind: data.pull_request ? 'pull_request' : 'issue',
      state: data.state === 'open' ? 'open' : 'closed',
      locked: data.locked,
      title: data.title,
      body: data.body ?? '',
      labels: data.labels.map((label) => (typeof label === 'string' ? label : (label.name ?? ''))),
      authorId: String(data.user?.id ?? GHOST),
    }
  } catch (error) {
    if (!(error instanceof Refused) || error.status !== 301) throw error
    // A redirect: the issue went to another repository, or the repository to another name. The second is thrown here.
    await readRepository(octokit, repository)
    return undefined
  }
}

/** A comment on an issue or pull request. */
export interface Comment {
  readonly id: string
  readonly author: string
  readonly authorId: string
  /** ISO 8601, whole seconds. */
  readonly createdAt: string
  /** After the time that was asked for: edited since, so not what was there then. */
  readonly updatedAt: string
  readonly body: string
}

/** Most comments given to a run. */
const MOST_COMMENTS = 200

/** The latest 200 comments created not after `notAfter`, oldest first. A subject that is gone has none. */
export async function readComments(
  octokit: Octokit,
  repository: RepositoryRef,
  number: number,
  { notAfter }: { readonly notAfter: Date },
): Promise<Comment[]> {
  const address = { ...ownerAndName(repository), issue_number: numeric(number) }
  const comments: Comment[] = []
  const all = backward((page) =>
    octokit.request('GET /repos/{owner}/{repo}/issues/{issue_number}/comments', {
      ...address,
      per_page: PER_PAGE,
      page,
    }),
  )
  try {
    for await (const { id, user, created_at: createdAt, updated_at: updatedAt, body } of all) {
      if (Date.parse(createdAt) > notAfter.getTime()) continue
      comments.push({
        id: String(id),
        author: user?.login ?? 'ghost',
        authorId: String(user?.id ?? GHOST),
        createdAt,
        updatedAt,
        body: body ?? '',
      })
      if (comments.length === MOST_COMMENTS) break
    }
  } catch (error) {
    if (error instanceof Refused && (error.status === 404 || error.status === 410)) return []
    throw error
  }
  return comments.toReversed()
}
