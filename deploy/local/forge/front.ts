import { randomUUID } from 'node:crypto'

import { Hono } from 'hono'
import type { Context } from 'hono'

import { appRoutes } from './apps.ts'
import { commentRoutes } from './comments.ts'
import { requestContext } from './context.ts'
import { controlRoutes } from './control.ts'
import type { Caller } from './credentials.ts'
import { deliveryRoutes } from './delivery-routes.ts'
import type { Env, Forge } from './forge.ts'
import { forward } from './forward.ts'
import { gitDataRoutes } from './git-data.ts'
import { graphqlRoute } from './graphql.ts'
import { hookRoutes } from './hook-routes.ts'
import { issueRoutes } from './issues.ts'
import { issueEventRoutes } from './label-events.ts'
import { mergeRoutes } from './merge.ts'
import { permissionRoutes } from './permissions.ts'
import { pullRoutes } from './pulls.ts'
import { reviewRoutes } from './reviews.ts'
import type { Budget } from './rate-limit.ts'
import { ApiError, forbidden, notFound } from './reply.ts'
import { ping } from './webhooks.ts'
import type { Emit } from './webhooks.ts'

const BODY_LIMIT = 50 * 1024 * 1024
const SAFE = new Set(['GET', 'HEAD'])

/** What the forge allows; without secondary limits nobody counts. */
interface Limits {
  readonly primary: (key: string, cost?: 0 | 1) => Budget
  readonly secondary: ((account: string, method: string, path: string) => string | undefined) | undefined
}

/** The REST API: our own routes first, the emulator's for the rest. */
export function createFront(forge: Forge, emit: Emit, { primary: budget, secondary }: Limits): Hono<Env> {
  const app = new Hono<Env>()
  app.onError((error, c) => {
    if (error instanceof ApiError) return c.json(error.body(), error.status)
    console.error(error)
    return c.json(new ApiError(500, 'Server Error').body(), 500)
  })
  app.notFound((c) => c.json(notFound().body(), 404))
  controlRoutes(app, forge)
  app.all('/_forge/*', (c) => c.notFound())

  app.use(async (c, next) => {
    c.header('x-github-request-id', randomUUID())
    c.header('x-github-media-type', 'github.v3; format=json')
    const caller = forge.credentials.identify(c.req.header('authorization'))
    c.set('caller', caller)
    const { exceeded, headers } = budget(caller.key, c.req.path === '/rate_limit' ? 0 : 1)
    for (const [name, value] of Object.entries(headers)) c.header(name, value)
    if (exceeded)
      throw new ApiError(
        403,
        'API rate limit exceeded. (See https://docs.github.com/rest/overview/rate-limits-for-the-rest-api)',
      )
    // Persons are many in a test; whose limits count are those of programs.
    const account = caller.kind === 'installation' ? `installation ${caller.installation.id}` : caller.key
    const violated =
      caller.kind === 'installation' || caller.kind === 'app'
        ? secondary?.(account, c.req.method, c.req.path)
        : undefined
    if (violated !== undefined) {
      forge.ledger.add('limit.violated', { account, violated, method: c.req.method, path: c.req.path })
      throw new ApiError(403, 'You have exceeded a secondary rate limit.')
    }
    const text = SAFE.has(c.req.method) ? '' : await readBody(c)
    c.set('text', text)
    c.set('body', parse(text))
    await requestContext.run({ actor: actorOf(caller) }, next)
  })
  app.get('/rate_limit', (c) => {
    const { headers } = budget(c.get('caller').key, 0)
    const number = (name: string) => Number(headers[`x-ratelimit-${name}`])
    const core = {
      limit: number('limit'),
      used: number('used'),
      remaining: number('remaining'),
      reset: number('reset'),
    }
    return c.json({ resources: { core }, rate: core })
  })
  app.get('/user', (c) => {
    if (c.get('caller').kind === 'anonymous') throw new ApiError(401, 'Requires authentication')
    if (c.get('caller').kind !== 'user') throw forbidden('Resource not accessible by integration')
    return forward(forge, c)
  })

  hookRoutes(app, forge, (hook, actor) => ping(forge, hook, actor))
  deliveryRoutes(app, forge)
  appRoutes(app, forge)
  permissionRoutes(app, forge)
  issueEventRoutes(app, forge)
  issueRoutes(app, forge)
  commentRoutes(app, forge)
  pullRoutes(app, forge)
  reviewRoutes(app, forge)
  mergeRoutes(app, forge, emit)
  gitDataRoutes(app, forge)
  graphqlRoute(app, forge)

  const rest = (c: Context<Env>) => {
    if (c.get('caller').kind === 'anonymous' && !SAFE.has(c.req.method))
      throw new ApiError(401, 'Requires authentication')
    return forward(forge, c)
  }
  app.all('/repos/:owner/:repo', rest)
  app.all('/repos/:owner/:repo/*', rest)
  app.all('*', rest)
  return app
}

/** Who a caller is, for the ledger. */
export function actorOf(caller: Caller): string {
  if (caller.kind === 'anonymous') return 'anonymous'
  return caller.kind === 'app' ? caller.app.slug : caller.user.login
}

async function readBody(c: Context<Env>): Promise<string> {
  const tooLarge = new ApiError(413, 'Payload too large')
  if (Number(c.req.header('content-length') ?? 0) > BODY_LIMIT) throw tooLarge
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of c.req.raw.body ?? []) {
    size += chunk.byteLength
    if (size > BODY_LIMIT) throw tooLarge
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parse(text: string): unknown {
  if (text.trim() === '') return undefined
  try {
    return JSON.parse(text)
  } catch {
    throw new ApiError(400, 'Problems parsing JSON')
  }
}
