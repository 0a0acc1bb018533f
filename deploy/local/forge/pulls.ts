import type { Context, Hono } from 'hono'

import { requestContext } from './context.ts'
import type { PullSize } from './context.ts'
import type { Env, Forge } from './forge.ts'
import { ask, askAsOwner, forward } from './forward.ts'
import { checkLength, noteChanges, objectBody } from './issues.ts'
import { demand, repositoryOf } from './permissions.ts'
import { isObject, notFound, paginate, validationFailed } from './reply.ts'
import type { Json } from './reply.ts'
import type { PullRow, RepoRow } from './rows.ts'
import type { Emit } from './webhooks.ts'

/** Pull requests, with the rules and numbers that the emulator leaves out. */
export function pullRoutes(app: Hono<Env>, forge: Forge): void {
  const pulls = '/repos/:owner/:repo/pulls'
  const one = `${pulls}/:number{[0-9]+}`

  app.post(pulls, async (c) => {
    const repo = repositoryOf(forge, c)
    demand(forge, c.get('caller'), repo, 'pull', 'pull_requests')
    const body = objectBody(c)
    const context = requestContext.getStore()
    const size = await checkNew(forge, repo, body)
    if (context) context.pullSize = size
    const { status, body: made } = await ask(forge, c)
    return c.json({ ...(made as Json), ...size }, status as 201)
  })
  app.patch(one, async (c) => {
    const repo = repositoryOf(forge, c)
    const pull = pullOf(forge, c, repo)
    const caller = c.get('caller')
    if (caller.kind !== 'user' || caller.user.id !== pull.user_id) demand(forge, caller, repo, 'push', 'pull_requests')
    const body = objectBody(c)
    checkLength(body['body'], 'PullRequest')
    if (body['state'] === 'open' && pull.state === 'closed') {
      if (pull.merged)
        throw validationFailed({
          resource: 'PullRequest',
          code: 'custom',
          field: 'state',
          message: 'state cannot be changed. The pull request cannot be reopened.',
        })
      refuseSecond(forge, repo, pull.head_repo_id, pull.head_ref, pull.base_ref)
    }
    noteChanges(body, pull)
    return forward(forge, c)
  })
  app.get(`${one}/files`, async (c) => c.json(paginate(c, (await changesOf(forge, c)).files)))
  app.get(`${one}/commits`, async (c) => c.json(paginate(c, (await changesOf(forge, c)).commits)))
}

/** The pull request of a request. */
export function pullOf(forge: Forge, c: Context<Env>, repo: RepoRow): PullRow {
  const number = Number(c.req.param('number'))
  const pull = forge.state.pullRequests.findBy('repo_id', repo.id).find((row) => row.number === number)
  if (!pull) throw notFound()
  return pull
}

function refuseSecond(forge: Forge, repo: RepoRow, headRepo: number, head: string, base: string): void {
  const open = forge.state.pullRequests
    .findBy('repo_id', repo.id)
    .find(
      (pull) =>
        pull.state === 'open' && pull.head_ref === head && pull.base_ref === base && pull.head_repo_id === headRepo,
    )
  if (!open) return
  const owner = forge.state.repos.get(headRepo)?.full_name.split('/', 1)[0]
  throw validationFailed({
    resource: 'PullRequest',
    code: 'custom',
    message: `A pull request already exists for ${owner}:${head}.`,
  })
}

async function checkNew(forge: Forge, repo: RepoRow, body: Json): Promise<PullSize> {
  const field = (name: string) => {
    const value = body[name]
    if (typeof value === 'string' && value.trim() !== '') return value.trim()
    throw validationFailed({ resource: 'PullRequest', code: 'missing_field', field: name })
  }
  field('title')
  checkLength(body['body'], 'PullRequest')
  const [head, base] = [field('head'), field('base')]
  const [login, branch] = head.includes(':') ? head.split(':', 2) : [undefined, head]
  const headRepo = login === undefined ? repo : headRepository(forge, repo, login)
  const exists = (inside: RepoRow | undefined, name: string | undefined) =>
    inside && forge.state.refs.findBy('repo_id', inside.id).some(({ ref }) => ref === `refs/heads/${name}`)
  if (!headRepo || branch === undefined || !exists(headRepo, branch))
    throw validationFailed({ resource: 'PullRequest', field: 'head', code: 'invalid' })
  if (!exists(repo, base)) throw validationFailed({ resource: 'PullRequest', field: 'base', code: 'invalid' })
  refuseSecond(forge, repo, headRepo.id, branch, base)
  const { size } = await compare(forge, repo, base, branch)
  if (headRepo === repo && size.commits === 0) {
    throw validationFailed({
      resource: 'PullRequest',
      code: 'custom',
      message: `No commits between ${base} and ${branch}`,
    })
  }
  return size
}

function headRepository({ state }: Forge, repo: RepoRow, login: string): RepoRow | undefined {
  const owner = state.users.findOneBy('login', login)
  return repo.owner_id === owner?.id
    ? repo
    : state.repos.all().find((row) => row.owner_id === owner?.id && row.name === repo.name)
}

async function compare(
  forge: Forge,
  repo: RepoRow,
  base: string,
  head: string,
): Promise<{ files: Json[]; commits: Json[]; size: PullSize }> {
  const path = `/compare/${encodeURIComponent(base)}...${encodeURIComponent(head)}`
  const answer = await askAsOwner(forge, repo, path)
  const list = (name: string) => (isObject(answer) && Array.isArray(answer[name]) ? (answer[name] as Json[]) : [])
  const files = list('files')
  const sum = (name: string) => files.reduce((total, file) => total + Number(file[name]), 0)
  const commits = list('commits')
  return {
    files,
    commits,
    size: {
      commits: commits.length,
      additions: sum('additions'),
      deletions: sum('deletions'),
      changed_files: files.length,
    },
  }
}

/** Files and commits of the pull request of a request, in GitHub's own JSON. */
export async function changesOf(forge: Forge, c: Context<Env>): Promise<{ files: Json[]; commits: Json[] }> {
  const repo = repositoryOf(forge, c)
  const pull = pullOf(forge, c, repo)
  // A merged head is an ancestor of its base, so a comparison of branches would be empty.
  return compare(forge, forge.state.repos.get(pull.head_repo_id) ?? repo, pull.base_sha, pull.head_sha)
}

/** After a push: open pull requests from that branch get the new head and size, and `synchronize` is sent. */
export function followPush(
  forge: Forge,
  emit: Emit,
): (head: RepoRow, ref: string, before: string, sender: Json) => void {
  return (head, ref, before, sender) => {
    const branch = ref.replace(/^refs\/heads\//, '')
    const after = forge.state.refs.findBy('repo_id', head.id).find((row) => row.ref === ref)?.sha
    const open = forge.state.pullRequests
      .all()
      .filter((pull) => pull.head_repo_id === head.id && pull.head_ref === branch && pull.state === 'open')
    for (const pull of open) {
      const repo = forge.state.repos.get(pull.repo_id)
      if (!repo || after === undefined || pull.head_sha === after) continue
      forge.state.pullRequests.update(pull.id, { head_sha: after })
      const follow = async () => {
        forge.state.pullRequests.update(pull.id, (await compare(forge, head, pull.base_sha, after)).size)
        const pull_request = await askAsOwner(forge, repo, `/pulls/${pull.number}`)
        const repository = await askAsOwner(forge, repo, '')
        emit(
          'pull_request',
          { action: 'synchronize', number: pull.number, before, after, pull_request, repository, sender },
          repo,
        )
      }
      forge.deliveries.track(follow())
    }
  }
}
