import type { Context, Hono } from 'hono'

import type { App, Env, Forge, Installation } from './forge.ts'
import { installationOn } from './forge.ts'
import { appOf } from './hooks.ts'
import { repositoryOf } from './permissions.ts'
import { forbidden, invalid, isObject, notFound, paginate } from './reply.ts'
import { appJson, installationJson } from './shapes.ts'

const RANK: Readonly<Record<string, number>> = { read: 1, write: 2, admin: 3 }

/** The App's view of itself, its installations and their tokens. */
export function appRoutes(app: Hono<Env>, forge: Forge): void {
  const one = (c: Context<Env>): { owner: App; installation: Installation } => {
    const owner = appOf(c)
    const installation = owner.installations.find(({ id }) => id === Number(c.req.param('id')))
    if (!installation) throw notFound()
    return { owner, installation }
  }

  app.get('/app', (c) => {
    const owner = appOf(c)
    return c.json({ ...appJson(forge, owner), installations_count: owner.installations.length })
  })
  app.get('/apps/:slug', (c) => {
    const owner = forge.apps.find(({ slug }) => slug === c.req.param('slug'))
    if (!owner) throw notFound()
    return c.json(appJson(forge, owner))
  })
  app.get('/app/installations', (c) => {
    const owner = appOf(c)
    return c.json(
      paginate(
        c,
        owner.installations.map((installation) => installationJson(forge, owner, installation)),
      ),
    )
  })
  app.get('/app/installations/:id{[0-9]+}', (c) => {
    const { owner, installation } = one(c)
    return c.json(installationJson(forge, owner, installation))
  })
  app.get('/repos/:owner/:repo/installation', (c) => {
    const owner = appOf(c)
    const installation = installationOn(owner, repositoryOf(forge, c))
    if (!installation) throw notFound()
    return c.json(installationJson(forge, owner, installation))
  })
  app.post('/app/installations/:id{[0-9]+}/access_tokens', (c) => {
    const { owner, installation } = one(c)
    const body = isObject(c.get('body')) ? (c.get('body') as Record<string, unknown>) : {}
    const permissions = permissionsAsked(body['permissions'], owner.permissions)
    const repositories = repositoriesAsked(forge, installation, body)
    const grant = forge.credentials.issue(owner, installation, { permissions, repositories })
    const selected =
      repositories === 'all'
        ? []
        : repositories.map((id) => forge.state.repos.get(id)).filter((repo) => repo !== undefined)
    return c.json(
      {
        token: grant.token,
        expires_at: grant.expiresAt.toISOString().replace('.000Z', 'Z'),
        permissions,
        repository_selection: repositories === 'all' ? 'all' : 'selected',
        ...(repositories === 'all'
          ? {}
          : {
              repositories: selected.map(({ id, name, full_name, private: hidden }) => ({
                id,
                name,
                full_name,
                private: hidden,
              })),
            }),
      },
      201,
    )
  })
  app.get('/installation/repositories', (c) => {
    const caller = c.get('caller')
    if (caller.kind !== 'installation')
      throw forbidden(
        'You must authenticate with an installation access token in order to list repositories for an installation.',
      )
    const { grant, installation } = caller
    const repos = forge.state.repos
      .all()
      .filter(
        (repo) =>
          installationOn(caller.app, repo) === installation &&
          (grant.repositories === 'all' || grant.repositories.includes(repo.id)),
      )
    const selection = grant.repositories === 'all' ? 'all' : 'selected'
    return c.json({
      total_count: repos.length,
      repository_selection: selection,
      repositories: repos.map(({ id, name, full_name, private: hidden }) => ({ id, name, full_name, private: hidden })),
    })
  })
}

function permissionsAsked(raw: unknown, granted: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  if (!isObject(raw)) return granted
  const asked = Object.entries(raw).map(([name, level]) => [name, String(level)] as const)
  const within = asked.every(([name, level]) => (RANK[level] ?? 9) <= (RANK[granted[name] ?? ''] ?? 0))
  if (!within) throw invalid('The permissions requested are not granted to this installation.')
  return Object.fromEntries(asked)
}

function repositoriesAsked(
  forge: Forge,
  installation: Installation,
  body: Readonly<Record<string, unknown>>,
): 'all' | readonly number[] {
  const { repositories: names, repository_ids: ids } = body
  if (names === undefined && ids === undefined)
    return installation.repositories === 'all' ? 'all' : [...installation.repositories]
  const own = forge.state.repos
    .all()
    .filter(
      ({ id, owner_id }) =>
        owner_id === installation.account.id &&
        (installation.repositories === 'all' || installation.repositories.has(id)),
    )
  const wanted = [names ?? ids].flat()
  const found = wanted.map((asked) =>
    own.find(({ id, name }) => asked === id || String(asked).toLowerCase() === name.toLowerCase()),
  )
  if (found.some((repo) => repo === undefined)) {
    throw invalid(
      'There is at least one repository that does not exist or is not accessible to the parent installation.',
    )
  }
  return found.filter((repo) => repo !== undefined).map(({ id }) => id)
}
