import { Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import type { Db } from '#shared/db/connect.ts'
import { answerError } from '#shared/edge/event-app.ts'
import { problem } from '#shared/edge/problem.ts'
import { readEvent } from '#shared/edge/read-event.ts'
import type { App } from '#shared/edge/serve.ts'
import type { Log } from '#shared/log.ts'
import { auditSink } from './handler.ts'
import { store } from './store.ts'
import { together } from './together.ts'

/** Largest event, bytes; as every function has it. */
const MAX_EVENT_BYTES = 1024 * 1024

/** How long one round may work, milliseconds; below the 60 s that the Service allows. */
const ROUND_MS = 45_000

/**
 * Every event's record becomes an entry of the ledger. An event that is posted here says nothing but that there is
 * something: this function may not even look whether somebody wrote it.
 */
export function create({ db, log }: { db: Db; log: Log }): App {
  const append = auditSink(store(db))
  const round = together(() => append(AbortSignal.timeout(ROUND_MS)))
  const app = new Hono()
  app.get('/healthz', () => new Response('ok'))
  app.post(
    '/',
    bodyLimit({
      maxSize: MAX_EVENT_BYTES,
      onError: () => problem({ status: 413, code: 'event_too_large', title: 'Event too large' }),
    }),
    async (c) => {
      const { ref, attributes } = await readEvent(c.req.raw)
      const appended = await round()
      log.info({ eventId: ref.id, eventType: attributes['type'], appended }, 'ledger written')
      return c.body(null, 202)
    },
  )
  app.post('/sweep', async (c) => {
    const appended = await round()
    if (appended > 0) log.info({ appended }, 'swept')
    return c.json({ appended })
  })
  app.notFound(() => problem({ status: 404, code: 'not_found', title: 'Not found' }))
  // Whatever is wrong, it comes again: nothing is ever taken out of the ledger's way.
  app.onError((error) => answerError(error, log))
  return { fetch: (request) => app.fetch(request), close: () => db.destroy() }
}
