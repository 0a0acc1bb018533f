import type { ReviewContent } from '#shared/job/bundle.ts'
import { contentOf } from './content.ts'
import type { Forge, Pull } from './handler.ts'

/** Characters of a diff that are given with a comment: its end, where the comment stands. */
const MAX_HUNK = 4_000

/** What a pull request and those who looked at it say, as the agent is given it. */
export function reviewContent(
  pull: Pull,
  previous: ReviewContent['previous'],
  said: Awaited<ReturnType<Forge['reviews']>> & { readonly discussion: Awaited<ReturnType<Forge['comments']>> },
): ReviewContent {
  return {
    ...contentTexts(pull),
    previous,
    reviews: said.reviews.map(({ author, state, submittedAt, body }) => ({
      author,
      state,
      createdAt: submittedAt,
      body: body.toWellFormed(),
    })),
    comments: said.comments.map(({ author, path, line, hunk, createdAt, body }) => ({
      author,
      path: path.toWellFormed(),
      line,
      hunk: hunk.slice(-MAX_HUNK).toWellFormed(),
      createdAt,
      body: body.toWellFormed(),
    })),
    discussion: contentOf(undefined, said.discussion).comments,
  }
}

function contentTexts(pull: Pull): Pick<ReviewContent, 'title' | 'body'> {
  const { title, body } = contentOf(pull, [])
  return { title, body }
}
