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
    return {
      ...payload,
      ref: ref.replace(/^refs\/(heads|tags)\//, ''),
      master_branch: repo.default_branch,
      description: null,
      pusher_type: 'user',
    }
  }
  const before = String(payload['before'])
  const after = String(payload['after'])
  const repository = isObject(payload['repository']) ? payload['repository'] : {}
  const owner = isObject(repository['owner']) ? repository['owner'] : {}
  const email = forge.state.users.get(Number(sender['id']))?.email ?? null
  // Here alone GitHub counts seconds and calls some things by their old names.
  const epoch = (time: unknown) => Math.floor((typeof time === 'string' ? Date.parse(time) : Date.now()) / 1000)
  const old = {
    owner: { ...owner, name: owner['login'], email: forge.state.users.get(repo.owner_id)?.email ?? null },
    created_at: epoch(repository['created_at']),
    pushed_at: epoch(null),
    stargazers: 0,
    master_branch: repo.default_branch,
  }
  const commits = newCommits(forge, repo, before, after).map((commit) => describeCommit(forge, repo, commit))
  return {
    ref,
    before,
    after,
    repository: { ...repository, ...old },
    pusher: { name: sender['login'], email },
    sender,
    created: before === ZERO,
    deleted: false,
    forced: false,
    base_ref: null,
    compare: `${forge.url}/${repo.full_name}/compare/${before.slice(0, 12)}...${after.slice(0, 12)}`,
    commits,
    head_commit: commits.at(-1) ?? null,
  }
}

function newCommits(forge: Forge, repo: RepoRow, before: string, after: string): CommitRow[] {
  const { findCommit } = objectStore(forge.state, repo.id)
  const found: CommitRow[] = []
  for (
    let at = findCommit(after);
    at && at.sha !== before && found.length < 20;
    at = findCommit(at.parent_shas[0] ?? '')
  )
    found.unshift(at)
  return found
}

function describeCommit(forge: Forge, repo: RepoRow, commit: CommitRow): Json {
  const objects = objectStore(forge.state, repo.id)
  const parent = objects.findCommit(commit.parent_shas[0] ?? '')
  const before = parent ? objects.files(parent.tree_sha) : new Map<string, { sha: string }>()
  const after = objects.files(commit.tree_sha)
  const person = (name: string, email: string) => {
    const user = forge.state.users.findOneBy('email', email)
    return { name, email, date: seconds(commit.committer_date), ...(user ? { username: user.login } : {}) }
  }
  return {
    id: commit.sha,
    tree_id: commit.tree_sha,
    distinct: true,
    message: commit.message,
    timestamp: seconds(commit.committer_date),
    url: `${forge.url}/${repo.full_name}/commit/${commit.sha}`,
    author: person(commit.author_name, commit.author_email),
    committer: person(commit.committer_name, commit.committer_email),
    added: [...after.keys()].filter((path) => !before.has(path)),
    removed: [...before.keys()].filter((path) => !after.has(path)),
    modified: [...after]
      .filter(([path, file]) => before.has(path) && before.get(path)?.sha !== file.sha)
      .map(([path]) => path),
  }
}
