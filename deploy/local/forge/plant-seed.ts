import type { Forge } from './forge.ts'
import { ensureLabel } from './issues.ts'
import { objectStore } from './objects.ts'
import type { FileEntry } from './objects.ts'
import { plantApp } from './plant-app.ts'
import type { Grant, New, RepoRow, UserRow } from './rows.ts'
import { mustExist } from './seed.ts'
import type { RoleName, SeedValue } from './seed.ts'
import { addUser } from './users.ts'

const GRANT: Readonly<Record<RoleName, Grant>> = {
  read: 'pull',
  triage: 'triage',
  write: 'push',
  maintain: 'maintain',
  admin: 'admin',
}
const nodeId = (type: string, id: number) => Buffer.from(`0:${type}${id}`).toString('base64').replace(/=+$/, '')

/** Fill an empty forge. */
export async function plantSeed(forge: Forge, seed: SeedValue): Promise<void> {
  addUser(forge, { login: 'ghost', id: 10137, name: 'Deleted user' })
  for (const { token, ...user } of seed.users) {
    const row = addUser(forge, user)
    if (token !== undefined) forge.credentials.add(token, row)
  }
  for (const repo of seed.repos) {
    const row = addRepository(forge, repo)
    for (const label of [...seed.labels, ...repo.labels]) {
      const { name, color, description } =
        typeof label === 'string' ? { name: label, color: undefined, description: undefined } : label
      ensureLabel(forge, row, name, color, description ?? null)
    }
  }
  if (seed.app) forge.apps.push(await plantApp(forge, seed.app))
}

function addRepository(forge: Forge, { owner, files, collaborators, ...repo }: SeedValue['repos'][number]): RepoRow {
  const { state } = forge
  const user = mustExist(state.users.findOneBy('login', owner), `owner ${owner} of ${owner}/${repo.name}`)
  const row = state.repos.insert({
    name: repo.name,
    full_name: `${owner}/${repo.name}`,
    owner_id: user.id,
    owner_type: 'User',
    private: repo.private,
    description: repo.description,
    default_branch: repo.default_branch,
    visibility: repo.private ? 'private' : 'public',
    node_id: '',
    fork: false,
    forked_from_id: null,
    homepage: null,
    language: null,
    languages: {},
    forks_count: 0,
    stargazers_count: 0,
    watchers_count: 0,
    size: 0,
    open_issues_count: 0,
    topics: [],
    has_issues: true,
    has_projects: true,
    has_wiki: true,
    has_pages: false,
    has_downloads: true,
    has_discussions: false,
    archived: false,
    disabled: false,
    pushed_at: new Date().toISOString(),
    allow_rebase_merge: true,
    allow_squash_merge: true,
    allow_merge_commit: true,
    allow_auto_merge: false,
    delete_branch_on_merge: false,
    allow_forking: true,
    is_template: false,
    license: null,
  } as New<RepoRow>)
  state.repos.update(row.id, { node_id: nodeId('Repository', row.id) } as Partial<RepoRow>)
  for (const [login, role] of Object.entries(collaborators)) {
    const member = mustExist(state.users.findOneBy('login', login), `collaborator ${login} of ${row.full_name}`)
    state.collaborators.insert({ repo_id: row.id, user_id: member.id, permission: GRANT[role] })
  }
  if (Object.keys(files).length > 0) firstCommit(forge, row, user, files)
  return row
}

function firstCommit({ state }: Forge, repo: RepoRow, user: UserRow, files: SeedValue['repos'][number]['files']): void {
  const objects = objectStore(state, repo.id)
  const entries = Object.entries(files).map(([path, file]): [string, FileEntry] => {
    const { text, mode } = typeof file === 'string' ? { text: file, mode: '100644' } : file
    const blob = objects.blob(Buffer.from(text))
    return [path, { mode, type: 'blob', sha: blob.sha, size: blob.size }]
  })
  const date = new Date().toISOString()
  const [name, email] = [user.name ?? user.login, user.email ?? '']
  const { sha } = objects.commit(
    {
      message: 'Initial commit',
      tree_sha: objects.tree(new Map(entries)).sha,
      parent_shas: [],
      author_name: name,
      author_email: email,
      author_date: date,
      committer_name: name,
      committer_email: email,
      committer_date: date,
    },
    user.id,
  )
  const ref = state.refs.insert({ repo_id: repo.id, ref: `refs/heads/${repo.default_branch}`, sha, node_id: '' })
  state.refs.update(ref.id, { node_id: nodeId('Ref', ref.id) })
  state.branches.insert({ repo_id: repo.id, name: repo.default_branch, sha, protected: false })
}
