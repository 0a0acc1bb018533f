import type { Context, Hono } from 'hono'

import type { Env, Forge } from './forge.ts'
import { forward } from './forward.ts'
import { checkLength, objectBody } from './issues.ts'
import { demand, repositoryOf } from './permissions.ts'
import { requestContext } from './context.ts'
import { notFound, validationFailed } from './reply.ts'

const PERMISSIONS = ['issues', 'pull_requests']

/** Comments on issues and pull requests: anybody who reads may write one, only its author and writers may change it. */
export function commentRoutes(app: Hono<Env>, forge: Forge): void {
  app.post('/repos/:owner/:repo/issues/:number{[0-9]+}/comments', (c) => {
    demand(forge, c.get('caller'), repositoryOf(forge, c), 'pull', PERMISSIONS)
    checkBody(c)
    return forward(forge, c)
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
    throw validationFailed({ resource: 'IssueComment', code: 'unprocessable', field: 'data', message: 'Body cannot be blank' })
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
