import type { Context, Hono } from 'hono'

import { requestContext } from './context.ts'
import { correct } from './correct.ts'
import type { Env, Forge } from './forge.ts'
import { ask, forward } from './forward.ts'
import { issueOf } from './label-events.ts'
import { demand, may, repositoryOf } from './permissions.ts'
import { isObject, notFound, paginate, validationFailed } from './reply.ts'
import type { Json } from './reply.ts'
import type { IssueRow, RepoRow } from './rows.ts'
import { issueJson } from './shapes.ts'

const BODY_LIMIT = 65_536

/** Refuse a text that GitHub would not store. */
export function checkLength(text: unknown, resource: string): void {
  if (typeof text === 'string' && text.length > BODY_LIMIT) {
    const message = `Body is too long (maximum is ${BODY_LIMIT} characters)`
    throw validationFailed({ resource, code: 'unprocessable', field: 'data', message })
  }
}

/** Issues and their labels; on GitHub a pull request is an issue too, in the emulator it is not. */
export function issueRoutes(app: Hono<Env>, forge: Forge): void {
  const issues = '/repos/:owner/:repo/issues'
  const one = `${issues}/:number{[0-9]+}`

  app.get(issues, (c) => {
    const repo = repositoryOf(forge, c)
    return c.json(paginate(c, list(forge, c, repo)).map((issue) => correct(forge, issueJson(forge, issue, repo))))
  })
  app.post(issues, async (c) => {
    const repo = repositoryOf(forge, c)
    const caller = c.get('caller')
    demand(forge, caller, repo, 'pull', 'issues')
    const body = objectBody(c)
    if (typeof body['title'] !== 'string' || body['title'].trim() === '') {
      throw validationFailed({ resource: 'Issue', code: 'missing_field', field: 'title' })
    }
    checkLength(body['body'], 'Issue')
    const { labels, assignees, ...rest } = body
    // Whoever may not triage may ask for labels; GitHub drops them without a word.
    const extra = may(forge, caller, repo, 'triage', 'issues')
      ? {
          ...(labels === undefined ? {} : { labels: canonical(forge, repo, labels) }),
          ...(assignees === undefined ? {} : { assignees }),
        }
      : {}
    return forward(forge, c, { body: { ...rest, ...extra } })
  })
  app.get(one, (c) => {
    const repo = repositoryOf(forge, c)
    return c.json(correct(forge, issueJson(forge, issueOf(forge, c, repo), repo)) as Json)
  })
  app.patch(one, async (c) => {
    const repo = repositoryOf(forge, c)
    const issue = issueOf(forge, c, repo)
    const body = { ...objectBody(c) }
    demandTriage(forge, c, repo, issue, 'labels' in body || 'assignees' in body || 'milestone' in body)
    checkLength(body['body'], 'Issue')
    if (body['labels'] !== undefined) body['labels'] = canonical(forge, repo, body['labels'])
    noteChanges(body, issue)
    if (!issue.is_pull_request) return forward(forge, c, { body })
    const { labels, ...rest } = body
    const path = `/repos/${repo.full_name}`
    if (Object.keys(rest).length > 0) await ask(forge, c, { path: `${path}/pulls/${issue.number}`, body: rest })
    if (labels !== undefined)
      await ask(forge, c, { method: 'PUT', path: `${path}/issues/${issue.number}/labels`, body: { labels } })
    return c.json(correct(forge, issueJson(forge, issueOf(forge, c, repo), repo)) as Json)
  })

  for (const method of ['post', 'put'] as const) {
    app[method](`${one}/labels`, async (c) => {
      const repo = repositoryOf(forge, c)
      demandTriage(forge, c, repo, issueOf(forge, c, repo), true)
      const body = c.get('body')
      const labels = canonical(forge, repo, isObject(body) ? (body['labels'] ?? []) : body)
      return forward(forge, c, { body: { labels } })
    })
  }
  app.delete(`${one}/labels`, async (c) => {
    const repo = repositoryOf(forge, c)
    demandTriage(forge, c, repo, issueOf(forge, c, repo), true)
    // The emulator's own DELETE tells nobody; replacing all labels by none does.
    await ask(forge, c, { method: 'PUT', body: { labels: [] } })
    return c.body(null, 204)
  })
  app.delete(`${one}/labels/:name{.+}`, async (c) => {
    const repo = repositoryOf(forge, c)
    const issue = issueOf(forge, c, repo)
    demandTriage(forge, c, repo, issue, true)
    const wanted = c.req.param('name').toLowerCase()
    const label = forge.state.labels.findBy('repo_id', repo.id).find(({ name }) => name.toLowerCase() === wanted)
    if (!label) throw notFound()
    return forward(forge, c, {
      path: `/repos/${repo.full_name}/issues/${issue.number}/labels/${encodeURIComponent(label.name)}`,
    })
  })
  for (const method of ['post', 'patch', 'delete'] as const) {
    app[method](`/repos/:owner/:repo/labels/:name?`, async (c) => {
      demand(forge, c.get('caller'), repositoryOf(forge, c), 'push', 'issues')
      return forward(forge, c)
    })
  }
}

/** The body of a request that has to be a JSON object. */
export function objectBody(c: Context<Env>): Json {
  const body = c.get('body')
  return isObject(body) ? body : {}
}

/** Remember what an edit replaces, for the `changes` of its webhook. */
export function noteChanges(body: Json, before: { readonly title: string; readonly body: string | null }): void {
  const context = requestContext.getStore()
  if (!context) return
  context.changes = Object.fromEntries(
    (['title', 'body'] as const)
      .filter((key) => key in body && body[key] !== before[key])
      .map((key) => [key, { from: before[key] }]),
  )
}

function demandTriage(forge: Forge, c: Context<Env>, repo: RepoRow, issue: IssueRow, always: boolean): void {
  const caller = c.get('caller')
  if (!always && caller.kind === 'user' && caller.user.id === issue.user_id) return
  demand(forge, caller, repo, 'triage', issue.is_pull_request ? ['issues', 'pull_requests'] : 'issues')
}

// Label names are case-insensitive, may come as objects, and are made when missing.
function canonical(forge: Forge, repo: RepoRow, raw: unknown): string[] {
  if (!Array.isArray(raw)) throw validationFailed({ resource: 'Label', code: 'invalid', field: 'name' })
  return raw.map((item: unknown) => {
    const name = isObject(item) ? item['name'] : item
    if (typeof name !== 'string' || name.trim() === '' || name.length > 50)
      throw validationFailed({ resource: 'Label', code: 'invalid', field: 'name' })
    return ensureLabel(forge, repo, name.trim()).name
  })
}

/** The repository's label of this name, made when missing. */
export function ensureLabel(
  { state }: Pick<Forge, 'state'>,
  repo: RepoRow,
  name: string,
  color = 'ededed',
  description: string | null = null,
): { name: string } {
  const known = state.labels.findBy('repo_id', repo.id).find((label) => label.name.toLowerCase() === name.toLowerCase())
  if (known) return known
  const row = state.labels.insert({ node_id: '', repo_id: repo.id, name, description, color, default: false })
  return (
    state.labels.update(row.id, { node_id: Buffer.from(`0:Label${row.id}`).toString('base64').replace(/=+$/, '') }) ??
    row
  )
}

function list({ state }: Forge, c: Context<Env>, repo: RepoRow): IssueRow[] {
  const wanted = c.req.query('state') ?? 'open'
  const labels = (c.req.query('labels') ?? '')
    .split(',')
    .filter((name) => name !== '')
    .map((name) => name.toLowerCase())
  const [creator, since] = [c.req.query('creator'), c.req.query('since')]
  const sort = c.req.query('sort') === 'updated' ? 'updated_at' : 'created_at'
  const sign = c.req.query('direction') === 'asc' ? 1 : -1
  return state.issues
    .findBy('repo_id', repo.id)
    .filter((issue) => wanted === 'all' || issue.state === wanted)
    .filter((issue) => creator === undefined || state.users.get(issue.user_id)?.login === creator)
    .filter((issue) => since === undefined || Date.parse(issue.updated_at) >= Date.parse(since))
    .filter((issue) => {
      const names = issue.label_ids.map((id) => state.labels.get(id)?.name.toLowerCase())
      return labels.every((label) => names.includes(label))
    })
    .sort((left, right) => sign * (left[sort].localeCompare(right[sort]) || left.id - right.id))
}
