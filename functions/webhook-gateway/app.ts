import type { HttpBindings } from '@hono/node-server'
import { Hono } from 'hono'
import type { Db } from '#shared/db/connect.ts'
import { problem } from '#shared/edge/problem.ts'
import type { App } from '#shared/edge/serve.ts'
import { RetryLater } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import type { Relay } from '#shared/outbox/relay.ts'
import { webhookGateway } from './handler.ts'
import { refuse } from './headers.ts'
import { createSecrets } from './secrets.ts'
import { store } from './store.ts'
import { throttled } from './throttle.ts'
import { waker } from './wake.ts'

/** Where the hooks' secrets are mounted, one file per secret name. */
export interface Config {
  readonly secretsDir: string
  /** Proxies of our own in front, see throttle.ts. Undefined: whoever is in front limits floods. */
  readonly trustedProxies?: number | undefined
  /** Addresses of the functions that a run label comes to, where they may stand at zero. */
  readonly wakes?: readonly string[]
}

const ROUTE = '/hooks/github/:hook'

/** A forge's webhook becomes an inbox row and an event, or a problem document. Nothing here reads a body but the handler. */
export function create(
  { secretsDir, trustedProxies, wakes }: Config,
  { db, relay, log }: { db: Db; relay: Relay; log: Log },
): App {
  const app = new Hono<{ Bindings: HttpBindings }>()
  const storage = store(db)
  const wake = wakes && waker(wakes)
  const receive = webhookGateway({ storage, secrets: createSecrets(secretsDir), relay, log, wake })

  if (trustedProxies !== undefined) app.use(ROUTE, throttled(trustedProxies))
  app.post(ROUTE, (c) => receive(c.req.param('hook'), c.req.raw, c.env.incoming))
  app.all(ROUTE, () => refuse(405, 'method_not_allowed', 'Method not allowed', undefined, { allow: 'POST' }))
  app.notFound(() => refuse(404, 'not_found', 'Not found'))
  app.onError((error) => {
    // Whatever it was, the delivery is not known to be stored: the forge must see a failure that it may repeat.
    log.error({ err: error }, 'not stored')
    const seconds = error instanceof RetryLater ? Math.max(1, error.seconds) : 5
    return problem({ status: 503, code: 'retry_later', title: 'Temporary failure' }, { 'retry-after': String(seconds) })
  })
  return {
    fetch: (request, bindings) => app.fetch(request, bindings),
    warm: () => storage.findHook(''),
    close: () => db.destroy(),
  }
}
