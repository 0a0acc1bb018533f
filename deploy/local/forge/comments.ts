import type { Context, Hono } from 'hono'

import type { Env, Forge } from './forge.ts'
import { askAsOwner, forward } from './forward.ts'
import { checkLength, objectBody } from './issues.ts'
import { issueOf } from './label-events.ts'
import { demand, repositoryOf } from './permissions.ts'
import { requestContext } from './context.ts'
import { notFound, paginate, validationFailed } from './reply.ts'

const PERMISSIONS = ['issues', 'pull_requests']

/** Comments on issues and pull requests: anybody who reads may write one, only its author and writers may change it. */
export function commentRoutes(app: Hono<Env>, forge: Forge): void {
  app.post('/repos/:owner/:repo/issues/:number{[0-9]+}/comments', (c) => {
    demand(forge, c.get('caller'), repositoryOf(forge, c), 'pull', PERMISSIONS)
    checkBody(c)
    return forward(forge, c)
  })
  app.get('/repos/:owner/:repo/issues/:number{[0-9]+}/comments', async (c) => {
    const since = c.req.query('since')
    if (since === undefined) return forward(forge, c)
    const repo = repositoryOf(forge, c)
    const { number } = issueOf(forge, c, repo)
    const all: { updated_at: string }[] = []
    for (let page = 1; all.length === (page - 1) * 100; page++) {
      all.push(
        ...((await askAsOwner(forge, repo, `/issues/${number}/comments?per_page=100&page=${page}`)) as typeof all),
      )
    }
    return c.json(
      paginate(
        c,
        all.filter(({ updated_at }) => Date.parse(updated_at) >= Date.parse(since)),
      ),
    )
  })
  app.patch('/repos/:owner/:repo/issues/comments/:id{[0-9]+}', (c) => {
    const before = commentOf(forge, c)
    checkBody(c)
    const context = requestContext.getStore()
    if (context) context.changes = { body: { from: before.body } }
    return forward(forge, c)
  })
  app.delete('/repos/:owner/:repo/issues/comments/:id{[0-9]+}', (c) => {
    commentOf(forge, c)
    return forward(forge, c)
  })
}

function checkBody(c: Context<Env>): void {
  const { body } = objectBody(c)
  if (typeof body !== 'string' || body.trim() === '') {
    throw validationFailed({
      resource: 'IssueComment',
      code: 'unprocessable',
      field: 'data',
      message: 'Body cannot be blank',
    })
  }
  checkLength(body, 'IssueComment')
}

function commentOf(forge: Forge, c: Context<Env>): { readonly body: string } {
  const repo = repositoryOf(forge, c)
  const comment = forge.state.comments.get(Number(c.req.param('id')))
  if (comment?.repo_id !== repo.id || comment.comment_type !== 'issue') throw notFound()
  const caller = c.get('caller')
  if (caller.kind !== 'user' || caller.user.id !== comment.user_id) demand(forge, caller, repo, 'push', PERMISSIONS)
  return comment
}
