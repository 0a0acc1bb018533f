import { createPublicKey, generateKeyPair } from 'node:crypto'
import { promisify } from 'node:util'

import * as v from 'valibot'

import type { App, Forge, Installation } from './forge.ts'
import { createHook } from './hooks.ts'
import { ensureLabel } from './issues.ts'
import { objectStore } from './objects.ts'
import type { FileEntry } from './objects.ts'
import type { Grant, New, RepoRow, UserRow } from './rows.ts'

const Mode = v.picklist(['100644', '100755', '120000'])
const File = v.union([v.string(), v.strictObject({ text: v.string(), mode: v.optional(Mode, '100644') })])
const Role = v.picklist(['read', 'triage', 'write', 'maintain', 'admin'])
const Label = v.union([
  v.string(),
  v.strictObject({ name: v.string(), color: v.optional(v.string()), description: v.optional(v.string()) }),
])
const User = v.strictObject({
  login: v.string(), id: v.optional(v.number()), type: v.optional(v.picklist(['User', 'Bot']), 'User'), token: v.optional(v.string()),
  name: v.optional(v.nullable(v.string()), null), email: v.optional(v.nullable(v.string()), null),
})

/** What a forge holds when it starts. */
export const Seed = v.strictObject({
  users: v.optional(v.array(User), []),
  repos: v.optional(
    v.array(
      v.strictObject({
        owner: v.string(), name: v.string(), private: v.optional(v.boolean(), false), default_branch: v.optional(v.string(), 'main'),
        description: v.optional(v.nullable(v.string()), null), files: v.optional(v.record(v.string(), File), {}),
        collaborators: v.optional(v.record(v.string(), Role), {}), labels: v.optional(v.array(Label), []),
      }),
    ),
    [],
  ),
  labels: v.optional(v.array(Label), []),
  app: v.optional(
    v.strictObject({
      app_id: v.number(), client_id: v.optional(v.string()), slug: v.string(), name: v.optional(v.string()), bot_id: v.optional(v.number()),
      private_key: v.optional(v.string()), installation_id: v.optional(v.number()),
      permissions: v.optional(v.record(v.string(), v.string()), {
        metadata: 'read', contents: 'write', issues: 'write', pull_requests: 'write', repository_hooks: 'write',
      }),
      events: v.optional(v.array(v.string()), ['issues', 'issue_comment', 'pull_request', 'pull_request_review']),
      webhook_url: v.optional(v.string()), webhook_secret: v.optional(v.string()),
      repositories: v.optional(v.union([v.literal('all'), v.array(v.string())]), 'all'),
    }),
  ),
  rate_limit: v.optional(v.number(), 5000),
})

/** A seed as it is written down. */
export type SeedInput = v.InferInput<typeof Seed>
type SeedValue = v.InferOutput<typeof Seed>

const GRANT: Record<v.InferOutput<typeof Role>, Grant> = { read: 'pull', triage: 'triage', write: 'push', maintain: 'maintain', admin: 'admin' }
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
      const { name, color, description } = typeof label === 'string' ? { name: label, color: undefined, description: undefined } : label
      ensureLabel(forge, row, name, color, description ?? null)
    }
  }
  if (seed.app) forge.apps.push(await createApp(forge, seed.app))
}

/** A user of the forge. */
export function addUser(
  { state }: Pick<Forge, 'state'>,
  { login, id, type = 'User', name = null, email = null }:
    { login: string; id?: number | undefined; type?: 'User' | 'Bot'; name?: string | null; email?: string | null },
): UserRow {
  const row = state.users.insert({
    ...(id === undefined ? {} : { id }), login, node_id: '', avatar_url: '', gravatar_id: '', type, site_admin: false, name, email,
    company: null, blog: '', location: null, hireable: null, bio: null, twitter_username: null, public_repos: 0, public_gists: 0,
    followers: 0, following: 0,
  } as New<UserRow>)
  return state.users.update(row.id, { node_id: nodeId(type, row.id), email: email ?? `${row.id}+${login}@users.noreply.github.com` }) ?? row
}

function addRepository(forge: Forge, { owner, files, collaborators, ...repo }: SeedValue['repos'][number]): RepoRow {
  const { state } = forge
  const user = find(state.users.findOneBy('login', owner), `owner ${owner} of ${owner}/${repo.name}`)
  const row = state.repos.insert({
    name: repo.name, full_name: `${owner}/${repo.name}`, owner_id: user.id, owner_type: 'User', private: repo.private,
    description: repo.description, default_branch: repo.default_branch, visibility: repo.private ? 'private' : 'public', node_id: '', fork: false,
    forked_from_id: null, homepage: null, language: null, languages: {}, forks_count: 0, stargazers_count: 0, watchers_count: 0, size: 0,
    open_issues_count: 0, topics: [], has_issues: true, has_projects: true, has_wiki: true, has_pages: false, has_downloads: true,
    has_discussions: false, archived: false, disabled: false, pushed_at: new Date().toISOString(), allow_rebase_merge: true, allow_squash_merge: true,
    allow_merge_commit: true, allow_auto_merge: false, delete_branch_on_merge: false, allow_forking: true, is_template: false, license: null,
  } as New<RepoRow>)
  state.repos.update(row.id, { node_id: nodeId('Repository', row.id) } as Partial<RepoRow>)
  for (const [login, role] of Object.entries(collaborators)) {
    const member = find(state.users.findOneBy('login', login), `collaborator ${login} of ${row.full_name}`)
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
      message: 'Initial commit', tree_sha: objects.tree(new Map(entries)).sha, parent_shas: [], author_name: name, author_email: email,
      author_date: date, committer_name: name, committer_email: email, committer_date: date,
    },
    user.id,
  )
  const ref = state.refs.insert({ repo_id: repo.id, ref: `refs/heads/${repo.default_branch}`, sha, node_id: '' })
  state.refs.update(ref.id, { node_id: nodeId('Ref', ref.id) })
  state.branches.insert({ repo_id: repo.id, name: repo.default_branch, sha, protected: false })
}

async function createApp(forge: Forge, app: NonNullable<SeedValue['app']>): Promise<App> {
  const privateKey = app.private_key ?? (await generateKey())
  const bot = addUser(forge, { login: `${app.slug}[bot]`, id: app.bot_id, type: 'Bot' })
  const name = app.name ?? app.slug
  forge.state.apps.insert({ app_id: app.app_id, slug: app.slug, name })
  const createdAt = new Date().toISOString().replace(/\.\d+/, '')
  const config = {
    url: app.webhook_url ?? '', content_type: 'json', insecure_ssl: '0', ...(app.webhook_secret ? { secret: app.webhook_secret } : {}),
  } as const
  const names = app.repositories === 'all' ? forge.state.repos.all().map((repo) => repo.full_name) : app.repositories
  const installations: Installation[] = []
  for (const full of names) {
    const repo = find(forge.state.repos.findOneBy('full_name', full), `repository ${full} of the App`)
    const known = installations.find(({ account }) => account.id === repo.owner_id)
    if (known && known.repositories !== 'all') known.repositories.add(repo.id)
    if (known) continue
    const account = find(forge.state.users.get(repo.owner_id), `owner of ${full}`)
    const id = installations.length === 0 && app.installation_id !== undefined ? app.installation_id : forge.nextId()
    installations.push({ id, account, createdAt, repositories: app.repositories === 'all' ? 'all' : new Set([repo.id]) })
  }
  return {
    id: app.app_id, clientId: app.client_id ?? `Iv23li${app.app_id}`, slug: app.slug, name, bot, privateKey,
    publicKey: createPublicKey(privateKey), permissions: app.permissions, events: app.events, installations, createdAt,
    hook: createHook(forge.nextId(), { type: 'integration', id: app.app_id }, '/app/hook', config, app.events),
  }
}

async function generateKey(): Promise<string> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', {
    modulusLength: 2048, privateKeyEncoding: { type: 'pkcs1', format: 'pem' }, publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
  return privateKey
}

function find<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`seed: ${what} does not exist`)
  return value
}
