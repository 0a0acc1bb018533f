import type { Forge } from './forge.ts'
import { objectStore } from './objects.ts'
import { isObject } from './reply.ts'
import type { Json } from './reply.ts'
import type { CommitRow, RepoRow } from './rows.ts'
import { seconds } from './shapes.ts'

const ZERO = '0'.repeat(40)

/** The payload of a `push` or `create` event, from the little that the emulator says. */
export function describePush(forge: Forge, repo: RepoRow, event: 'push' | 'create', payload: Json): Json {
  const ref = String(payload['ref'])
  const sender = isObject(payload['sender']) ? payload['sender'] : {}
  if (event === 'create') {
    return { ...payload, ref: ref.replace(/^refs\/(heads|tags)\//, ''), master_branch: repo.default_branch, description: null, pusher_type: 'user' }
  }
  const before = String(payload['before'])
  const after = String(payload['after'])
  const commits = newCommits(forge, repo, before, after).map((commit) => describeCommit(forge, repo, commit))
  return {
    ref, before, after, repository: payload['repository'], pusher: { name: sender['login'], email: null }, sender,
    created: before === ZERO, deleted: false, forced: false, base_ref: null,
    compare: `${forge.url}/${repo.full_name}/compare/${before.slice(0, 12)}...${after.slice(0, 12)}`,
    commits, head_commit: commits.at(-1) ?? null,
  }
}

function newCommits(forge: Forge, repo: RepoRow, before: string, after: string): CommitRow[] {
  const { findCommit } = objectStore(forge.state, repo.id)
  const found: CommitRow[] = []
  for (let at = findCommit(after); at && at.sha !== before && found.length < 20; at = findCommit(at.parent_shas[0] ?? '')) found.unshift(at)
  return found
}

function describeCommit(forge: Forge, repo: RepoRow, commit: CommitRow): Json {
  const objects = objectStore(forge.state, repo.id)
  const parent = objects.findCommit(commit.parent_shas[0] ?? '')
  const before = parent ? objects.files(parent.tree_sha) : new Map<string, { sha: string }>()
  const after = objects.files(commit.tree_sha)
  return {
    id: commit.sha, tree_id: commit.tree_sha, distinct: true, message: commit.message, timestamp: seconds(commit.committer_date),
    url: `${forge.url}/${repo.full_name}/commit/${commit.sha}`,
    author: { name: commit.author_name, email: commit.author_email },
    committer: { name: commit.committer_name, email: commit.committer_email },
    added: [...after.keys()].filter((path) => !before.has(path)),
    removed: [...before.keys()].filter((path) => !after.has(path)),
    modified: [...after].filter(([path, file]) => before.has(path) && before.get(path)?.sha !== file.sha).map(([path]) => path),
  }
}
