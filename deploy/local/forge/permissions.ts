import type { Context, Hono } from 'hono'

import type { Caller } from './credentials.ts'
import type { Env, Forge } from './forge.ts'
import { installationOn } from './forge.ts'
import { ApiError, forbidden, invalid, isObject, notFound } from './reply.ts'
import type { Grant, RepoRow, UserRow } from './rows.ts'
import { userJson } from './shapes.ts'

const ORDER = ['none', 'pull', 'triage', 'push', 'maintain', 'admin'] as const
type Role = (typeof ORDER)[number]
const ROLE_NAME = {
  none: 'none',
  pull: 'read',
  triage: 'triage',
  push: 'write',
  maintain: 'maintain',
  admin: 'admin',
} as const
const PERMISSION = {
  none: 'none',
  pull: 'read',
  triage: 'read',
  push: 'write',
  maintain: 'write',
  admin: 'admin',
} as const
const GRANT: Readonly<Record<string, Grant>> = {
  read: 'pull',
  pull: 'pull',
  triage: 'triage',
  write: 'push',
  push: 'push',
  maintain: 'maintain',
  admin: 'admin',
}

const at = (role: Role) => ORDER.indexOf(role)

/** What a user may do in a repository. */
export function roleOf({ state }: Pick<Forge, 'state'>, user: UserRow, repo: RepoRow): Role {
  if (repo.owner_id === user.id) return 'admin'
  const own = state.collaborators.findBy('repo_id', repo.id).find((row) => row.user_id === user.id)
  return own?.permission ?? (repo.private ? 'none' : 'pull')
}

/** The repository of a request, if the caller may know of it. */
export function repositoryOf(forge: Forge, c: Context<Env>): RepoRow {
  const name = `${c.req.param('owner')}/${c.req.param('repo')}`.toLowerCase()
  const repo =
    forge.state.repos.findOneBy('full_name', name) ??
    forge.state.repos.all().find((row) => row.full_name.toLowerCase() === name)
  if (!repo || !mayRead(forge, c.get('caller'), repo)) throw notFound()
  return repo
}

/** Whether a caller sees a repository at all. */
export function mayRead(forge: Forge, caller: Caller, repo: RepoRow): boolean {
  if (caller.kind === 'anonymous') return !repo.private
  if (caller.kind === 'user') return roleOf(forge, caller.user, repo) !== 'none'
  return (
    !repo.private || (caller.kind === 'app' ? installationOn(caller.app, repo) !== undefined : covers(caller, repo))
  )
}

function covers(caller: Extract<Caller, { kind: 'installation' }>, repo: RepoRow): boolean {
  const { grant, app } = caller
  return (
    installationOn(app, repo)?.id === caller.installation.id &&
    (grant.repositories === 'all' || grant.repositories.includes(repo.id))
  )
}

/** Whether a caller has at least this role; an App has it by the named permission of its token. */
export function may(
  forge: Forge,
  caller: Caller,
  repo: RepoRow,
  role: Role,
  permission: string | readonly string[],
): boolean {
  if (caller.kind === 'user') return at(roleOf(forge, caller.user, repo)) >= at(role)
  if (caller.kind !== 'installation' || !covers(caller, repo)) return false
  return [permission].flat().some((name) => caller.grant.permissions[name] === 'write')
}

/** Throw GitHub's answer unless a caller has at least this role. */
export function demand(
  forge: Forge,
  caller: Caller,
  repo: RepoRow,
  role: Role,
  permission: string | readonly string[],
): void {
  if (caller.kind === 'anonymous') throw new ApiError(401, 'Requires authentication')
  if (may(forge, caller, repo, role, permission)) return
  throw forbidden(caller.kind === 'installation' ? 'Resource not accessible by integration' : undefined)
}

/** Collaborators and their permissions. An invitation counts as accepted at once. */
export function permissionRoutes(app: Hono<Env>, forge: Forge): void {
  const { state } = forge
  const path = '/repos/:owner/:repo/collaborators/:login'

  app.get(`${path}/permission`, (c) => {
    const repo = repositoryOf(forge, c)
    const user = named(forge, c)
    const role = roleOf(forge, user, repo)
    const has = (least: Role) => at(role) >= at(least)
    const permissions = {
      admin: has('admin'),
      maintain: has('maintain'),
      push: has('push'),
      triage: has('triage'),
      pull: has('pull'),
    }
    return c.json({
      permission: PERMISSION[role],
      role_name: ROLE_NAME[role],
      user: { ...userJson(forge, user), permissions, role_name: ROLE_NAME[role] },
    })
  })
  app.get(path, (c) => {
    const repo = repositoryOf(forge, c)
    const user = named(forge, c)
    if (repo.owner_id !== user.id && !collaborator(forge, user, repo)) throw notFound()
    return c.body(null, 204)
  })
  app.put(path, (c) => {
    const repo = repositoryOf(forge, c)
    demand(forge, c.get('caller'), repo, 'admin', 'administration')
    const user = named(forge, c)
    const body = c.get('body')
    const wanted = isObject(body) && body['permission'] !== undefined ? String(body['permission']) : 'push'
    const permission = GRANT[wanted]
    if (!permission) throw invalid(`Invalid permission: ${wanted}`)
    const own = collaborator(forge, user, repo)
    if (own) state.collaborators.update(own.id, { permission })
    else state.collaborators.insert({ repo_id: repo.id, user_id: user.id, permission })
    return c.body(null, 204)
  })
  app.delete(path, (c) => {
    const repo = repositoryOf(forge, c)
    demand(forge, c.get('caller'), repo, 'admin', 'administration')
    const own = collaborator(forge, named(forge, c), repo)
    if (own) state.collaborators.delete(own.id)
    return c.body(null, 204)
  })
}

const collaborator = (forge: Forge, user: UserRow, repo: RepoRow) =>
  forge.state.collaborators.findBy('repo_id', repo.id).find((row) => row.user_id === user.id)

function named(forge: Forge, c: Context<Env>): UserRow {
  const login = c.req.param('login') ?? ''
  const user = forge.state.users.all().find((row) => row.login.toLowerCase() === login.toLowerCase())
  if (!user) throw new ApiError(404, `${login} is not a user`)
  return user
}
