import type { Octokit } from '@octokit/core'
import type { Endpoints } from '@octokit/types'
import { RetryLater } from '#shared/errors.ts'
import { branchName, numeric, ownerAndName } from './address.ts'
import type { RepositoryRef } from './address.ts'
import { Refused, found } from './failure.ts'
import { GHOST } from './ghost.ts'

/** A pull request as it is now. */
export interface PullRequest {
  readonly number: number
  readonly id: string
  /** For people. */
  readonly url: string
  readonly state: 'open' | 'closed' | 'merged'
  readonly draft: boolean
  readonly title: string
  readonly body: string
  readonly authorId: string
  /** `repositoryId` is null where the fork is gone. */
  readonly head: { readonly branch: string; readonly sha: string; readonly repositoryId: string | null }
  readonly base: { readonly branch: string; readonly sha: string }
}

/** The pull request of a branch. */
export interface OpenedPullRequest extends Pick<PullRequest, 'number' | 'id' | 'url' | 'state'> {
  /** False: it was there already. */
  readonly created: boolean
}

/**
 * Find the pull request of our branch or open it. One that a person has closed is found too if its body has the marker, and not opened
 * again. The marker is put at the end of a new body. `rewrite` brings title and body of an open one that was found up to date. Sent once
 * and never twice: where the answer is lost it throws RetryLater, and the next call finds. `refused` is GitHub's sentence (no commits
 * between the two, no such base).
 */
export async function openPullRequest(
  octokit: Octokit,
  repository: RepositoryRef,
  wanted: {
    readonly head: string
    readonly base: string
    readonly title: string
    readonly body: string
    readonly marker: string
    readonly rewrite?: boolean
  },
): Promise<OpenedPullRequest | { readonly refused: string }> {
  const address = ownerAndName(repository)
  const head = branchName(wanted.head)
  const base = branchName(wanted.base)
  const body = wanted.body.includes(wanted.marker) ? wanted.body : `${wanted.body}\n\n${wanted.marker}`

  const existing = await findByHead(octokit, repository, head, wanted.marker)
  if (existing) return adopt(existing)
  try {
    const request = { ...address, head, base, title: wanted.title, body }
    const { data } = await octokit.request('POST /repos/{owner}/{repo}/pulls', request)
    return { number: data.number, id: String(data.id), url: data.html_url, state: 'open', created: true }
  } catch (error) {
    if (!(error instanceof Refused) || error.status !== 422) throw error
    if (!/already exists/i.test(error.message)) return { refused: error.message }
    const other = await findByHead(octokit, repository, head, wanted.marker)
    if (!other) throw new RetryLater('the pull request exists and is not listed yet')
    return adopt(other)
  }

  async function adopt(pull: PullRequest): Promise<OpenedPullRequest> {
    if (wanted.rewrite === true && pull.state === 'open' && (pull.title !== wanted.title || pull.body !== body)) {
      const change = { ...address, pull_number: pull.number, title: wanted.title, body }
      await octokit.request('PATCH /repos/{owner}/{repo}/pulls/{pull_number}', change)
    }
    const { number, id, url, state } = pull
    return { number, id, url, state, created: false }
  }
}

/** A pull request by its number. Undefined: none has it, or not for us to see. */
export async function readPullRequest(
  octokit: Octokit,
  repository: RepositoryRef,
  number: number,
): Promise<(PullRequest & { readonly labels: readonly string[] }) | undefined> {
  const address = { ...ownerAndName(repository), pull_number: numeric(number) }
  const data = await found(octokit.request('GET /repos/{owner}/{repo}/pulls/{pull_number}', address))
  return data && { ...toPullRequest(data), labels: data.labels.map(({ name }) => name) }
}

async function findByHead(octokit: Octokit, repository: RepositoryRef, head: string, marker: string) {
  const { owner, repo } = ownerAndName(repository)
  const query = { owner, repo, head: `${owner}:${head}`, state: 'all' as const, per_page: 100 }
  const { data } = await octokit.request('GET /repos/{owner}/{repo}/pulls', query)
  const ours = data
    .map(toPullRequest)
    .filter((pull) => pull.head.branch === head && pull.head.repositoryId === repository.repositoryId)
    .toSorted((a, b) => a.number - b.number)
  const marked = ours.filter((pull) => pull.body.includes(marker))
  return marked.find(isOpen) ?? ours.find(isOpen) ?? marked[0]
}

const isOpen = (pull: PullRequest) => pull.state === 'open'

type Raw = Pick<
  Endpoints['GET /repos/{owner}/{repo}/pulls']['response']['data'][number],
  'number' | 'id' | 'html_url' | 'merged_at' | 'state' | 'draft' | 'title' | 'body' | 'user' | 'head' | 'base'
>

const toPullRequest = (data: Raw): PullRequest => ({
  number: data.number,
  id: String(data.id),
  url: data.html_url,
  state: data.merged_at ? 'merged' : data.state === 'open' ? 'open' : 'closed',
  draft: data.draft === true,
  title: data.title,
  body: data.body ?? '',
  authorId: String(data.user?.id ?? GHOST),
  head: {
    branch: data.head.ref,
    sha: data.head.sha,
    // A deleted fork has no repository, whatever the types say.
    repositoryId: (data.head.repo as { id: number } | null)?.id.toString() ?? null,
  },
  base: { branch: data.base.ref, sha: data.base.sha },
})
