import type { Octokit } from '@octokit/core'
import { numeric, ownerAndName } from './address.ts'
import type { RepositoryRef } from './address.ts'
import { NotThere, found, isAbsent } from './failure.ts'
import { GHOST } from './ghost.ts'
import { PER_PAGE, backward } from './pages.ts'
import { readRepository } from './repository.ts'

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
    if (!(error instanceof NotThere)) throw error
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
    if (isAbsent(error)) return []
    throw error
  }
  return comments.toReversed()
}
