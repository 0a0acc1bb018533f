import { Hono } from 'hono'
import type { Db } from '#shared/db/connect.ts'
import { answerError, graceOf } from '#shared/edge/event-app.ts'
import { readEvent } from '#shared/edge/read-event.ts'
import type { App } from '#shared/edge/serve.ts'
import { problem } from '#shared/edge/problem.ts'
import type { Log } from '#shared/log.ts'
import type { Relay } from '#shared/outbox/relay.ts'
import { takeDeadLetter } from './dead-letter.ts'
import { ownersDue } from './due.ts'
import { reconcile } from './handler.ts'
import { scrapes } from './scrapes.ts'
import { noteSweep } from './note-sweep.ts'

/** Where the functions are: `http://{function}.codex-k8s.svc.cluster.local`. */
export interface Config {
  readonly serviceUrl: (name: string) => string
  /** Whether `GET /metrics` answers. */
  readonly metrics?: boolean
}

/** How long an owner's sweep may take, milliseconds; below the 60 s that a Service allows. */
const SWEEP_TIMEOUT_MS = 50_000

/** The sweep that a PingSource wakes, and the dead-letter sink of every trigger. */
export function create(
  { serviceUrl, metrics = false }: Config,
  { db, relay, log }: { db: Db; relay: Relay; log: Log },
): App {
  const app = new Hono()
  const deps = {
    relay: (grace: number) => relay.overdue(grace),
    ownersDue: (grace: number) => ownersDue(db, grace),
    async sweep(owner: string, grace: number) {
      const response = await fetch(`${serviceUrl(owner)}/sweep?grace=${grace}`, {
        method: 'POST',
        signal: AbortSignal.timeout(SWEEP_TIMEOUT_MS),
      })
      await response.body?.cancel()
      if (!response.ok) throw new Error(`${owner} answered ${response.status}`)
    },
    log,
  }

  if (metrics) app.get('/metrics', scrapes(db))
  app.post('/sweep', async (c) => {
    await noteSweep(db)
    const round = await reconcile(deps, graceOf(c.req.query('grace')))
    if (round.relayed > 0 || round.swept.length > 0) log.info(round, 'swept')
    return c.body(null, 202)
  })
  app.post('/dead-letter/:consumer', async (c) => {
    const { ref, attributes } = await readEvent(c.req.raw)
    const error = Object.fromEntries(Object.entries(attributes).filter(([name]) => name.startsWith('knativeerror')))
    const taken = await takeDeadLetter(db, c.req.param('consumer'), ref, error)
    log.warn({ consumer: c.req.param('consumer'), ...taken, code: error['knativeerrorcode'] }, 'dead letter')
    return c.body(null, 202)
  })
  app.notFound(() => problem({ status: 404, code: 'not_found', title: 'Not found' }))
  app.onError((error) => answerError(error, log))
  return { fetch: (request) => app.fetch(request), close: () => db.destroy() }
}
