import type { Context, Hono } from 'hono'

import type { Env, Forge } from './forge.ts'
import { ask, askAsOwner } from './forward.ts'
import { checkLength, objectBody } from './issues.ts'
import { demand, repositoryOf } from './permissions.ts'
import { changesOf, pullOf } from './pulls.ts'
import { isObject, paginate, validationFailed } from './reply.ts'
import type { Json } from './reply.ts'
import type { PullRow, RepoRow } from './rows.ts'

/** Reviews of pull requests with comments on lines, as GitHub takes and shows them. */
export function reviewRoutes(app: Hono<Env>, forge: Forge): void {
  const one = '/repos/:owner/:repo/pulls/:number{[0-9]+}'

  app.post(`${one}/reviews`, async (c) => {
    const repo = repositoryOf(forge, c)
    const pull = pullOf(forge, c, repo)
    const caller = c.get('caller')
    demand(forge, caller, repo, 'pull', 'pull_requests')
    const body = objectBody(c)
    const own = caller.kind !== 'anonymous' && caller.kind !== 'app' && caller.user.id === pull.user_id
    checkVerdict(body, own)
    const lines = await commentsOn(forge, c, body['comments'])
    // Its own way to say a line is a position in the diff; the line is put right below.
    const positioned = lines.map(({ path, line, body: text }) => ({ path, position: line, body: text }))
    const made = (await ask(forge, c, { body: { ...body, comments: positioned } })).body as Json
    for (const [index, row] of rowsOf(forge, repo, pull, made['id']).entries())
      forge.state.comments.update(row.id, { line: lines[index]?.line ?? null })
    // GitHub answers 200 here, not 201.
    return c.json(reviewJson(made), 200)
  })
  app.get(`${one}/reviews`, async (c) => {
    const { number } = readable(c)
    const all = (await askAsOwner(forge, repositoryOf(forge, c), `/pulls/${number}/reviews?per_page=100`)) as Json[]
    return c.json(
      paginate(
        c,
        all.filter(({ state }) => state !== 'PENDING'),
      ).map(reviewJson),
    )
  })
  app.get(`${one}/comments`, async (c) => {
    const { number } = readable(c)
    const [all, { files }] = await Promise.all([
      askAsOwner(forge, repositoryOf(forge, c), `/pulls/${number}/comments?per_page=100`) as Promise<Json[]>,
      changesOf(forge, c),
    ])
    const withHunk = (comment: Json): Json => {
      const patch = patchOf(files, comment['path'])
      return { ...comment, diff_hunk: hunkTo(patch, Number(comment['line'])) ?? '' }
    }
    return c.json(paginate(c, all).map(withHunk))
  })

  function readable(c: Context<Env>): PullRow {
    const repo = repositoryOf(forge, c)
    demand(forge, c.get('caller'), repo, 'pull', 'pull_requests')
    return pullOf(forge, c, repo)
  }
}

function checkVerdict({ event, body }: Json, own: boolean): void {
  if (own && event === 'APPROVE') throw validationFailed('Can not approve your own pull request')
  if (own && event === 'REQUEST_CHANGES') throw validationFailed('Can not request changes on your own pull request')
  if ((event === 'REQUEST_CHANGES' || event === 'COMMENT') && (typeof body !== 'string' || body === ''))
    throw validationFailed('Body cannot be blank')
  checkLength(body, 'PullRequestReview')
}

interface LineComment {
  readonly path: string
  readonly line: number
  readonly body: string
}

/** The comments of a new review: each on a line that the pull request's diff shows. */
async function commentsOn(forge: Forge, c: Context<Env>, raw: unknown): Promise<LineComment[]> {
  if (!Array.isArray(raw) || raw.length === 0) return []
  const { files } = await changesOf(forge, c)
  return raw.map((one: unknown) => {
    const { path, line, body } = isObject(one) ? one : {}
    if (typeof path !== 'string' || patchOf(files, path) === undefined)
      throw validationFailed('Path could not be resolved')
    if (typeof line !== 'number' || hunkTo(patchOf(files, path), line) === undefined)
      throw validationFailed('Line could not be resolved')
    if (typeof body !== 'string' || body.trim() === '') throw validationFailed('Body cannot be blank')
    checkLength(body, 'PullRequestReviewComment')
    return { path, line, body }
  })
}

function rowsOf({ state }: Forge, repo: RepoRow, pull: PullRow, review: unknown) {
  return state.comments
    .findBy('repo_id', repo.id)
    .filter((row) => row.comment_type === 'review' && row.pull_number === pull.number && row.review_id === review)
}

function patchOf(files: readonly Json[], path: unknown): string | undefined {
  const patch = files.find(({ filename }) => filename === path)?.['patch']
  return typeof patch === 'string' ? patch : undefined
}

/** The hunk of a patch up to a line of the new file, as GitHub shows it above a comment; undefined where no hunk has the line. */
function hunkTo(patch: string | undefined, line: number): string | undefined {
  let hunk: string[] = []
  let at = 0
  for (const text of (patch ?? '').split('\n')) {
    const start = /^@@ -\d+(?:,\d+)? \+(\d+)/.exec(text)?.[1]
    if (start !== undefined) {
      hunk = [text]
      at = Number(start)
      continue
    }
    hunk.push(text)
    if (text.startsWith('-') || text.startsWith('\\')) continue
    if (at === line) return hunk.join('\n')
    at += 1
  }
  return undefined
}

/** Without the two times that GitHub does not give for a review. */
function reviewJson(review: Json): Json {
  return without(review, 'created_at', 'updated_at')
}

function without(value: Json, ...names: readonly string[]): Json {
  return Object.fromEntries(Object.entries(value).filter(([name]) => !names.includes(name)))
}
