import type { Hono } from 'hono'

import { actingAs } from './credentials.ts'
import type { Env, Forge } from './forge.ts'
import { askAsOwner } from './forward.ts'
import { objectBody } from './issues.ts'
import { objectStore } from './objects.ts'
import type { FileEntry } from './objects.ts'
import { demand, repositoryOf } from './permissions.ts'
import { pullOf } from './pulls.ts'
import { describePush } from './push.ts'
import { ApiError, forbidden } from './reply.ts'
import type { CommitRow, PullRow, RepoRow, UserRow } from './rows.ts'
import { userJson } from './shapes.ts'
import type { Emit } from './webhooks.ts'
import { addIssueEvent } from './webhooks.ts'

const CLOSES = /\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?) #(\d+)/gi

/** Merging into the base as it is now; the emulator would put the head's files over whatever happened there since. */
export function mergeRoutes(app: Hono<Env>, forge: Forge, emit: Emit): void {
  app.put('/repos/:owner/:repo/pulls/:number{[0-9]+}/merge', async (c) => {
    const repo = repositoryOf(forge, c)
    const caller = c.get('caller')
    demand(forge, caller, repo, 'push', 'contents')
    if (caller.kind === 'anonymous' || caller.kind === 'app') throw forbidden()
    const { user } = caller
    const pull = pullOf(forge, c, repo)
    const { sha, merge_method: method, commit_title: title, commit_message: message } = objectBody(c)
    if (pull.merged || pull.state === 'closed' || pull.draft) throw new ApiError(405, 'Pull Request is not mergeable')
    if (sha !== undefined && sha !== pull.head_sha)
      throw new ApiError(409, 'Head branch was modified. Review and try the merge again.')
    const from = `${repo.full_name.split('/', 1)[0]}/${pull.head_ref}`
    const text = [
      title ??
        (method === 'squash' ? `${pull.title} (#${pull.number})` : `Merge pull request #${pull.number} from ${from}`),
      message ?? pull.title,
    ]
    const commit = write(forge, repo, pull, user, text.join('\n\n'), method === undefined || method === 'merge')
    close(forge, repo, pull, commit, user)
    const [pull_request, repository] = await Promise.all([
      askAsOwner(forge, repo, `/pulls/${pull.number}`),
      askAsOwner(forge, repo, ''),
    ])
    const about = { repository, sender: userJson(forge, user) }
    emit('pull_request', { action: 'closed', number: pull.number, pull_request, ...about }, repo)
    const moved = { ref: `refs/heads/${pull.base_ref}`, before: commit.parent_shas[0], after: commit.sha }
    emit('push', describePush(forge, repo, 'push', { ...moved, ...about }), repo)
    await closeIssues(forge, repo, pull, actingAs(caller, forge.state))
    return c.json({ sha: commit.sha, merged: true, message: 'Pull Request successfully merged' })
  })
}

function write(
  forge: Forge,
  repo: RepoRow,
  pull: PullRow,
  user: UserRow,
  message: string,
  twoParents: boolean,
): CommitRow {
  const objects = objectStore(forge.state, repo.id)
  const ref = forge.state.refs.findBy('repo_id', repo.id).find((row) => row.ref === `refs/heads/${pull.base_ref}`)
  const base = ref && objects.findCommit(ref.sha)
  const head = objects.findCommit(pull.head_sha)
  if (!ref || !base || !head) throw new ApiError(405, 'Pull Request is not mergeable')
  const origin = mergeBase(objects.findCommit, base, head)
  const files = (commit: CommitRow | undefined) =>
    commit ? objects.files(commit.tree_sha) : new Map<string, FileEntry>()
  const date = new Date().toISOString()
  const [name, email] = [user.name ?? user.login, user.email ?? '']
  const commit = objects.commit(
    {
      message,
      tree_sha: objects.tree(mergeFiles(files(origin), files(base), files(head))).sha,
      parent_shas: twoParents ? [base.sha, head.sha] : [base.sha],
      author_name: name,
      author_email: email,
      author_date: date,
      committer_name: 'GitHub',
      committer_email: 'noreply@github.com',
      committer_date: date,
    },
    user.id,
  )
  forge.signed.add(commit.sha)
  forge.state.refs.update(ref.id, { sha: commit.sha })
  const branch = forge.state.branches.findBy('repo_id', repo.id).find((row) => row.name === pull.base_ref)
  if (branch) forge.state.branches.update(branch.id, { sha: commit.sha })
  return commit
}

function mergeBase(
  find: (sha: string) => CommitRow | undefined,
  base: CommitRow,
  head: CommitRow,
): CommitRow | undefined {
  const ancestors = new Set<string>()
  for (const queue = [base.sha]; queue.length > 0;) {
    const sha = queue.shift() ?? ''
    if (ancestors.has(sha)) continue
    ancestors.add(sha)
    queue.push(...(find(sha)?.parent_shas ?? []))
  }
  const seen = new Set<string>()
  for (const queue = [head.sha]; queue.length > 0;) {
    const sha = queue.shift() ?? ''
    if (ancestors.has(sha)) return find(sha)
    if (seen.has(sha)) continue
    seen.add(sha)
    queue.push(...(find(sha)?.parent_shas ?? []))
  }
  return undefined
}

type Files = ReadonlyMap<string, FileEntry>

// Whole files: two changes of one file are a conflict here, even where git would merge their lines.
function mergeFiles(origin: Files, base: Files, head: Files): Files {
  const same = (left: FileEntry | undefined, right: FileEntry | undefined) =>
    left?.sha === right?.sha && left?.mode === right?.mode
  const merged = new Map<string, FileEntry>()
  for (const path of new Set([...base.keys(), ...head.keys()])) {
    const [was, ours, theirs] = [origin.get(path), base.get(path), head.get(path)]
    if (!same(was, ours) && !same(was, theirs) && !same(ours, theirs))
      throw new ApiError(405, 'Pull Request is not mergeable')
    const entry = same(was, ours) ? theirs : ours
    if (entry) merged.set(path, entry)
  }
  return merged
}

function close(forge: Forge, repo: RepoRow, pull: PullRow, commit: CommitRow, user: UserRow): void {
  const { state } = forge
  const now = new Date().toISOString()
  const merged = {
    state: 'closed',
    merged: true,
    merged_at: now,
    closed_at: now,
    merge_commit_sha: commit.sha,
    merged_by_id: user.id,
    mergeable: false,
  }
  state.pullRequests.update(pull.id, merged as Partial<PullRow>)
  state.repos.update(repo.id, {
    open_issues_count: Math.max(0, (state.repos.get(repo.id)?.open_issues_count ?? 0) - 1),
  })
  const issue = state.issues.findBy('repo_id', repo.id).find((row) => row.number === pull.number)
  if (issue) state.issues.update(issue.id, { state: 'closed', closed_at: now, closed_by_id: user.id })
  for (const event of ['merged', 'closed']) addIssueEvent(forge, repo, pull.number, event, user.id)
}

async function closeIssues(
  forge: Forge,
  repo: RepoRow,
  pull: PullRow,
  acting: ReturnType<typeof actingAs>,
): Promise<void> {
  if (pull.base_ref !== repo.default_branch) return
  for (const [, number] of (pull.body ?? '').matchAll(CLOSES)) {
    const path = `/repos/${repo.full_name}/issues/${number}`
    await forge.engine.request(acting, { method: 'PATCH', path, body: '{"state":"closed"}' })
  }
}
