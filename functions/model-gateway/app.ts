import { Hono, type Context } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import type { Db } from '#shared/db/connect.ts'
import { answerError, graceOf } from '#shared/edge/event-app.ts'
import { problem } from '#shared/edge/problem.ts'
import type { App } from '#shared/edge/serve.ts'
import { verifyToken, type AttemptRef } from '#shared/job/token.ts'
import type { Log } from '#shared/log.ts'
import type { Relay } from '#shared/outbox/relay.ts'
import { inRunSpan } from '#shared/run/trace.ts'
import { modelGateway } from './handler.ts'
import { openAttempt } from './limits.ts'
import { askModel } from './model.ts'
import { store } from './store.ts'

/** Where the model is, and the keys of both sides. */
export interface Config {
  /** Root of the provider's API, e.g. `https://api.openai.com/v1`. */
  readonly modelUrl: string
  /** Empty for a model that asks for none. */
  readonly modelKey: string
  /** Key of the attempts' tokens. */
  readonly runTokenKey: string
  /** How long a reservation outlives the process that holds its stream; default 15. A stream renews it in time. */
  readonly leaseSeconds?: number
}

/** Largest request, bytes, counted while it is read. */
const MAX_BODY_BYTES = 16 * 1024 * 1024

/** The model as one attempt may use it: an allow-list in front of the provider, and the run's token budget. */
export function create(config: Config, clients: { db: Db; relay: Relay; log: Log; fetch?: typeof fetch }): App {
  const { db, relay, log } = clients
  const { leaseSeconds = 15 } = config
  const calls = store(db, leaseSeconds)
  const model = { url: config.modelUrl, key: config.modelKey, fetch: clients.fetch ?? fetch }
  const underway = new Set<Promise<unknown>>()
  const respond = modelGateway({
    ...calls,
    settle(id, cost) {
      const settling = calls.settle(id, cost).finally(() => underway.delete(settling))
      underway.add(settling)
      return settling
    },
    relay: (written) => relay.after(written),
    ask: (body, signal) => askModel(model, body, signal),
    leaseSeconds,
    log,
  })

  const app = new Hono<{ Variables: { ref: AttemptRef } }>()
  app.post('/sweep', async (c) => {
    const written = await calls.chargeExpired(graceOf(c.req.query('grace')))
    await relay.after(written)
    if (written.length > 0) log.info({ written: written.length }, 'swept')
    return c.json({ delivered: 0, written: written.length })
  })

  app.use('/v1/*', async (c, next) => {
    const ref = verifyToken(config.runTokenKey, 'model', bearer(c))
    if (ref === undefined) return problem({ status: 401, code: 'token_invalid', title: 'Not a model token' })
    c.set('ref', ref)
    return next()
  })
  app.get('/v1/models', async (c) => {
    const attempt = openAttempt(await calls.attempt(c.get('ref')))
    if ('refused' in attempt) return problem(attempt.refused)
    return c.json({
      object: 'list',
      data: [{ id: attempt.manifest.model, object: 'model', created: 0, owned_by: 'codex-k8s' }],
    })
  })
  const tooLarge = () => problem({ status: 413, code: 'request_too_large', title: 'Request too large' })
  app.post('/v1/responses', bodyLimit({ maxSize: MAX_BODY_BYTES, onError: tooLarge }), (c) =>
    inRunSpan(db, c.get('ref').run, 'POST /v1/responses', async () =>
      respond(c.get('ref'), await c.req.text(), c.req.raw.signal),
    ),
  )

  app.notFound(() => problem({ status: 404, code: 'not_found', title: 'Not found' }))
  app.onError((error) => answerError(error, log))
  return {
    fetch: (request) => app.fetch(request),
    async close() {
      await Promise.allSettled(underway)
      await db.destroy()
    },
  }
}

function bearer(c: Context): string {
  return /^Bearer (\S+)$/i.exec(c.req.header('authorization') ?? '')?.[1] ?? ''
}
