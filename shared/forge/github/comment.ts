import type { Octokit } from '@octokit/core'
import { numeric, ownerAndName } from './address.ts'
import type { RepositoryRef } from './address.ts'
import { found, isAbsent } from './failure.ts'
import { GHOST } from './ghost.ts'
import { PER_PAGE, forward } from './pages.ts'

/** A comment of ours. */
export interface OwnComment {
  readonly id: string
  readonly authorId: string
  readonly body: string
}

/** A comment as it is now. */
export interface ShownComment {
  readonly authorId: string
  readonly body: string
  /** Whether it was changed since it was written, as far as whole seconds tell. */
  readonly edited: boolean
  /** Whether a program wrote it in its author's name. */
  readonly viaApp: boolean
}

/** One comment. Undefined: somebody deleted it. */
export async function readComment(
  octokit: Octokit,
  repository: RepositoryRef,
  id: string,
): Promise<ShownComment | undefined> {
  const address = { ...ownerAndName(repository), comment_id: numeric(id) }
  const data = await found(octokit.request('GET /repos/{owner}/{repo}/issues/comments/{comment_id}', address))
  return (
    data && {
      authorId: String(data.user?.id ?? GHOST),
      body: data.body ?? '',
      edited: data.updated_at !== data.created_at,
      viaApp: (data.performed_via_github_app ?? null) !== null,
    }
  )
}

/** Comments by us (`authorId`, see own-actor.ts) whose body has the marker, oldest first. Somebody else's copy of the marker is not found. None where the subject is gone. */
export async function findComments(
  octokit: Octokit,
  repository: RepositoryRef,
  number: number,
  wanted: { readonly marker: string; readonly authorId: string },
): Promise<OwnComment[]> {
  const address = { ...ownerAndName(repository), issue_number: numeric(number) }
  const comments: OwnComment[] = []
  const all = forward((page) =>
    octokit.request('GET /repos/{owner}/{repo}/issues/{issue_number}/comments', {
      ...address,
      per_page: PER_PAGE,
      page,
    }),
  )
  try {
    for await (const { id, user, body = '' } of all) {
      const authorId = String(user?.id)
      if (authorId === wanted.authorId && body.includes(wanted.marker))
        comments.push({ id: String(id), authorId, body })
    }
  } catch (error) {
    if (isAbsent(error)) return []
    throw error
  }
  return comments.toSorted((a, b) => Number(a.id) - Number(b.id))
}

/**
 * Create a comment. Undefined: the subject is gone. Sent once and never twice: where the answer is lost it throws RetryLater, and the
 * caller looks for its marker before it calls again.
 */
export async function createComment(
  octokit: Octokit,
  repository: RepositoryRef,
  number: number,
  body: string,
): Promise<{ readonly id: string; readonly url: string; readonly shownAt: string } | undefined> {
  const request = { ...ownerAndName(repository), issue_number: numeric(number), body }
  const data = await found(octokit.request('POST /repos/{owner}/{repo}/issues/{issue_number}/comments', request))
  return data && { id: String(data.id), url: data.html_url, shownAt: data.updated_at }
}

/** Replace the body of a comment; when it shows it, by the forge's clock. Undefined: somebody deleted it. */
export async function editComment(
  octokit: Octokit,
  repository: RepositoryRef,
  id: string,
  body: string,
): Promise<{ readonly shownAt: string } | undefined> {
  const request = { ...ownerAndName(repository), comment_id: numeric(id), body }
  const data = await found(octokit.request('PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}', request))
  return data && { shownAt: data.updated_at }
}

/** Delete a comment. One that is gone already is a success. */
export async function deleteComment(octokit: Octokit, repository: RepositoryRef, id: string): Promise<void> {
  const address = { ...ownerAndName(repository), comment_id: numeric(id) }
  await found(octokit.request('DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}', address))
}
