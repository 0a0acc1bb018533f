import type { Octokit } from '@octokit/core'
import { RetryLater } from '#shared/errors.ts'
import { numeric, ownerAndName } from './address.ts'
import type { RepositoryRef } from './address.ts'
import { REPEATABLE } from './client.ts'

/** The one thing that REST does not tell: when a body was last edited. A title's changes are events of their own. */
export const EDITS_QUERY = `query Edits($owner: String!, $name: String!, $number: Int!, $since: DateTime!) {
  repository(owner: $owner, name: $name) {
    issueOrPullRequest(number: $number) {
      ... on Issue { lastEditedAt timelineItems(itemTypes: [RENAMED_TITLE_EVENT], since: $since, first: 1) { nodes { __typename } } }
      ... on PullRequest { lastEditedAt timelineItems(itemTypes: [RENAMED_TITLE_EVENT], since: $since, first: 1) { nodes { __typename } } }
    }
  }
}`

/** What GitHub answers to it. */
export interface EditsAnswer {
  readonly data?: {
    readonly repository: {
      readonly issueOrPullRequest: {
        readonly lastEditedAt: string | null
        readonly timelineItems: { readonly nodes: readonly unknown[] }
      } | null
    } | null
  } | null
  readonly errors?: readonly { readonly type?: string; readonly message?: string }[]
}

/**
 * Whether title or body of a subject were changed at `since` or later: GitHub counts whole seconds, so an edit within that
 * second may be the later of the two. True for a subject that is gone. RetryLater where GitHub gave no answer.
 */
export async function editedSince(
  octokit: Octokit,
  repository: RepositoryRef,
  number: number,
  since: Date,
): Promise<boolean> {
  const { owner, repo: name } = ownerAndName(repository)
  const variables = { owner, name, number: numeric(number), since: since.toISOString() }
  const request = { query: EDITS_QUERY, variables, request: REPEATABLE }
  const { data, errors = [] } = (await octokit.request('POST /graphql', request)).data as EditsAnswer
  if (errors.some(({ type }) => type !== 'NOT_FOUND'))
    throw new RetryLater(`the forge does not say what was edited: ${errors[0]?.message?.slice(0, 200) ?? ''}`, {
      seconds: 60,
    })
  const subject = data?.repository?.issueOrPullRequest
  if (subject === undefined || subject === null) return true
  const { lastEditedAt, timelineItems } = subject
  return timelineItems.nodes.length > 0 || (lastEditedAt !== null && Date.parse(lastEditedAt) >= since.getTime())
}
