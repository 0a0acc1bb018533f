import type { Context, Hono } from 'hono'

import { correct } from './correct.ts'
import type { Env, Forge } from './forge.ts'
import { askAsOwner } from './forward.ts'
import { repositoryOf } from './permissions.ts'
import { notFound, paginate } from './reply.ts'
import type { Json } from './reply.ts'
import type { IssueEventRow, IssueRow, RepoRow } from './rows.ts'
import { issueJson, seconds, userJson } from './shapes.ts'

// The emulator also logs these, which GitHub's issue events do not have.
const NOT_EVENTS = new Set(['opened', 'edited'])

/** The history of issues: events with ids, of pull requests too, and the timeline with comments between them. */
export function issueEventRoutes(app: Hono<Env>, forge: Forge): void {
  const { state } = forge
  const events = (repo: RepoRow) =>
    state.issueEvents.findBy('repo_id', repo.id).filter(({ event }) => !NOT_EVENTS.has(event))

  app.get('/repos/:owner/:repo/issues/events', (c) => {
    const repo = repositoryOf(forge, c)
    return c.json(paginate(c, events(repo).toReversed()).map((row) => withIssue(forge, repo, row)))
  })
  app.get('/repos/:owner/:repo/issues/events/:id{[0-9]+}', (c) => {
    const repo = repositoryOf(forge, c)
    const row = events(repo).find(({ id }) => id === Number(c.req.param('id')))
    if (!row) throw notFound()
    return c.json(withIssue(forge, repo, row))
  })
  app.get('/repos/:owner/:repo/issues/:number{[0-9]+}/events', (c) => {
    const repo = repositoryOf(forge, c)
    const issue = issueOf(forge, c, repo)
    const own = events(repo).filter((row) => row.issue_number === issue.number)
    return c.json(paginate(c, own).map((row) => eventJson(forge, repo, row)))
  })
  app.get('/repos/:owner/:repo/issues/:number{[0-9]+}/timeline', async (c) => {
    const repo = repositoryOf(forge, c)
    const issue = issueOf(forge, c, repo)
    const own = events(repo).filter((row) => row.issue_number === issue.number)
    const comments = state.comments
      .findBy('repo_id', repo.id)
      .filter((row) => row.comment_type === 'issue' && row.issue_number === issue.number)
    const merged = [...own, ...comments].sort(
      (left, right) => left.created_at.localeCompare(right.created_at) || left.id - right.id,
    )
    const page = paginate(c, merged).map(async (row) =>
      'event' in row ? eventJson(forge, repo, row) : await commented(forge, repo, row.id),
    )
    return c.json(await Promise.all(page))
  })
}

/** The issue or pull request of a request. */
export function issueOf(forge: Forge, c: Context<Env>, repo: RepoRow): IssueRow {
  const number = Number(c.req.param('number'))
  const issue = forge.state.issues.findBy('repo_id', repo.id).find((row) => row.number === number)
  if (!issue) throw notFound()
  return issue
}

async function commented(forge: Forge, repo: RepoRow, id: number): Promise<Json> {
  const comment = (await askAsOwner(forge, repo, `/issues/comments/${id}`)) as Json
  return { event: 'commented', actor: comment['user'], ...comment }
}

function withIssue(forge: Forge, repo: RepoRow, row: IssueEventRow): Json {
  const issue = forge.state.issues.findBy('repo_id', repo.id).find(({ number }) => number === row.issue_number)
  return { ...eventJson(forge, repo, row), issue: issue ? correct(forge, issueJson(forge, issue, repo)) : null }
}

function eventJson(forge: Forge, repo: RepoRow, row: IssueEventRow): Json {
  const { state, url } = forge
  const user = (id: number | null) => {
    const found = id === null ? undefined : state.users.get(id)
    return found ? userJson(forge, found) : null
  }
  const label = state.labels.findBy('repo_id', repo.id).find(({ name }) => name === row.label_name)
  return {
    id: row.id,
    node_id: row.node_id,
    url: `${url}/repos/${repo.full_name}/issues/events/${row.id}`,
    actor: user(row.actor_id),
    event: row.event,
    commit_id: row.commit_id,
    commit_url: row.commit_url,
    created_at: seconds(row.created_at),
    ...(row.label_name === null ? {} : { label: { name: row.label_name, color: label?.color ?? 'ededed' } }),
    ...(row.assignee_id === null ? {} : { assignee: user(row.assignee_id), assigner: user(row.actor_id) }),
    ...(row.milestone_title === null ? {} : { milestone: { title: row.milestone_title } }),
    ...(row.rename ? { rename: row.rename } : {}),
    performed_via_github_app: null,
  }
}
