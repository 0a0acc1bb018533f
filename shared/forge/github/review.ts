import type { Octokit } from '@octokit/core'
import { numeric, ownerAndName } from './address.ts'
import type { RepositoryRef } from './address.ts'
import { isAbsent } from './failure.ts'
import { GHOST } from './ghost.ts'
import { PER_PAGE, backward } from './pages.ts'

/** A review that was submitted. */
export interface Review {
  readonly id: string
  readonly author: string
  readonly authorId: string
  /** In lower case, as webhooks have it. */
  readonly state: string
  /** Empty where there is none. */
  readonly body: string
  /** ISO 8601, whole seconds. */
  readonly submittedAt: string
}

/** A comment of a review on a part of the diff. */
export interface ReviewComment {
  readonly author: string
  readonly authorId: string
  readonly path: string
  /** Line of the file as the pull request has it; null for a comment on a whole file or on lines that are gone. */
  readonly line: number | null
  /** The part of the diff above it, as GitHub shows it. */
  readonly hunk: string
  /** When it was written; it is shown to others from its review's `submittedAt` on. */
  readonly createdAt: string
  readonly updatedAt: string
  readonly body: string
}

/** Most reviews, and most comments of reviews, given to a run. */
const MOST = 200

/**
 * The latest 200 reviews submitted not after `notAfter`, and the latest 200 comments that belong to one of them or were
 * written not after it, oldest first. A pull request that is gone has none.
 */
export async function readReviews(
  octokit: Octokit,
  repository: RepositoryRef,
  number: number,
  { notAfter }: { readonly notAfter: Date },
): Promise<{ readonly reviews: readonly Review[]; readonly comments: readonly ReviewComment[] }> {
  const address = { ...ownerAndName(repository), pull_number: numeric(number), per_page: PER_PAGE }
  const late = (time: string) => Date.parse(time) > notAfter.getTime()
  const reviews: Review[] = []
  const comments: ReviewComment[] = []
  const later = new Set<string>()
  try {
    const submitted = backward((page) =>
      octokit.request('GET /repos/{owner}/{repo}/pulls/{pull_number}/reviews', { ...address, page }),
    )
    for await (const { id, user, state, body, submitted_at: submittedAt } of submitted) {
      // Our own drafts have no time.
      if (submittedAt === undefined || late(submittedAt)) later.add(String(id))
      else if (reviews.length < MOST)
        reviews.push({ id: String(id), ...authorOf(user), state: state.toLowerCase(), body, submittedAt })
    }
    const written = backward((page) =>
      octokit.request('GET /repos/{owner}/{repo}/pulls/{pull_number}/comments', { ...address, page }),
    )
    for await (const comment of written) {
      const { pull_request_review_id: review, user, path, line, diff_hunk: hunk, body } = comment
      if (late(comment.created_at) || later.has(String(review))) continue
      const times = { createdAt: comment.created_at, updatedAt: comment.updated_at }
      comments.push({ ...authorOf(user), path, line: line ?? null, hunk, ...times, body })
      if (comments.length === MOST) break
    }
  } catch (error) {
    if (!isAbsent(error)) throw error
  }
  return { reviews: reviews.toReversed(), comments: comments.toReversed() }
}

function authorOf(user: { readonly login: string; readonly id: number | bigint } | null) {
  return { author: user?.login ?? 'ghost', authorId: String(user?.id ?? GHOST) }
}
