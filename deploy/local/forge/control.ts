import type { Context, Hono } from 'hono'
import * as v from 'valibot'

import type { Env, Forge } from './forge.ts'
import { installationOn } from './forge.ts'
import { ApiError, notFound } from './reply.ts'
import type { Json } from './reply.ts'
import type { RepoRow } from './rows.ts'
import { addUser } from './users.ts'
import { installationJson, seconds, userJson } from './shapes.ts'

const FaultBody = v.strictObject({
  method: v.exactOptional(v.string()),
  path: v.pipe(
    v.string(),
    v.check((path) => isPattern(path), 'not a regular expression'),
  ),
  times: v.exactOptional(v.pipe(v.number(), v.integer(), v.minValue(1))),
  // oxlint-disable-next-line unicorn/no-thenable -- the word tests use; nothing awaits it
  then: v.union([
    v.picklist(['drop-before', 'apply-then-drop']),
    v.strictObject({ delayMs: v.number() }),
    v.strictObject({
      status: v.number(),
      headers: v.exactOptional(v.record(v.string(), v.string())),
      body: v.exactOptional(v.unknown()),
      echo: v.exactOptional(v.literal(true)),
    }),
  ]),
})
const UserBody = v.strictObject({
  login: v.string(),
  token: v.exactOptional(v.string()),
  name: v.exactOptional(v.string()),
})

/** What tests do to the forge, and ask it, behind the back of the control plane. */
export function controlRoutes(app: Hono<Env>, forge: Forge): void {
  app.get('/_forge/ledger', (c) => c.json(forge.ledger.read(c.req.query('kind'), Number(c.req.query('after') ?? 0))))
  app.get('/_forge/idle', (c) => c.json({ pending: forge.deliveries.pending() }))

  app.post('/_forge/faults', async (c) => {
    forge.faults.add(await input(c, FaultBody))
    return c.json({}, 201)
  })
  app.delete('/_forge/faults', (c) => {
    forge.faults.clear()
    return c.body(null, 204)
  })
  for (const [word, paused] of [
    ['pause', true],
    ['resume', false],
  ] as const) {
    app.post(`/_forge/hooks/${word}`, (c) => {
      forge.deliveries.pause(paused)
      return c.json({ paused })
    })
  }

  app.post('/_forge/users', async (c) => {
    const { token, ...user } = await input(c, UserBody)
    const row = addUser(forge, user)
    if (token !== undefined) forge.credentials.add(token, row)
    return c.json(userJson(forge, row), 201)
  })
  app.post('/_forge/tokens/expire', async (c) => {
    const { token } = await input(c, v.strictObject({ token: v.exactOptional(v.string()) }))
    return c.json({ expired: forge.credentials.expire(token) })
  })
  app.get('/_forge/tokens', (c) => c.json(forge.credentials.issued()))
  app.get('/_forge/apps', (c) =>
    c.json(
      forge.apps.map(({ id, clientId, slug, bot, privateKey, hook, installations }) => ({
        id,
        clientId,
        slug,
        bot: { id: bot.id, login: bot.login },
        privateKey,
        hook: { url: hook.config.url, secret: hook.config.secret ?? null },
        installations: installations.map(({ id: installation, account, repositories }) => ({
          id: installation,
          account: account.login,
          repositories: repositories === 'all' ? 'all' : [...repositories],
        })),
      })),
    ),
  )
  app.post('/_forge/apps/install', async (c) => {
    const { repository } = await input(c, v.strictObject({ repository: v.string() }))
    const repo = forge.state.repos.findOneBy('full_name', repository)
    if (!repo) throw notFound()
    return c.json(install(forge, repo), 201)
  })
}

function install(forge: Forge, repo: RepoRow): Json {
  const app = forge.apps[0]
  const account = forge.state.users.get(repo.owner_id)
  if (!app || !account) throw notFound()
  let installation = installationOn(app, repo)
  if (installation) return installationJson(forge, app, installation)
  installation = app.installations.find((one) => one.account.id === account.id)
  const created = installation === undefined
  if (!installation) {
    installation = {
      id: forge.nextId(),
      account,
      repositories: new Set<number>(),
      createdAt: seconds(new Date().toISOString()),
    }
    app.installations.push(installation)
  }
  if (installation.repositories !== 'all') installation.repositories.add(repo.id)
  const json = installationJson(forge, app, installation)
  const brief = [{ id: repo.id, name: repo.name, full_name: repo.full_name, private: repo.private }]
  const payload = created
    ? { action: 'created', installation: json, repositories: brief, requester: null }
    : {
        action: 'added',
        installation: json,
        repository_selection: 'selected',
        repositories_added: brief,
        repositories_removed: [],
        requester: null,
      }
  if (app.hook.config.url && app.hook.active) {
    forge.deliveries.send(app.hook, {
      event: created ? 'installation' : 'installation_repositories',
      action: payload.action,
      installationId: installation.id,
      repositoryId: null,
      about: { repo: repo.full_name, number: null },
      payload: JSON.stringify({ ...payload, sender: userJson(forge, account) }),
    })
  }
  return json
}

async function input<T extends v.GenericSchema>(c: Context<Env>, schema: T): Promise<v.InferOutput<T>> {
  const text = await c.req.text()
  let value: unknown
  try {
    value = JSON.parse(text === '' ? '{}' : text)
  } catch {
    throw new ApiError(400, 'Problems parsing JSON')
  }
  const parsed = v.safeParse(schema, value)
  if (!parsed.success)
    throw new ApiError(
      422,
      parsed.issues
        .map(({ path, message }) => `${path?.map(({ key }) => String(key)).join('.')}: ${message}`)
        .join('; '),
    )
  return parsed.output
}

function isPattern(text: string): boolean {
  try {
    return new RegExp(text) instanceof RegExp
  } catch {
    return false
  }
}
