import { Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import type { Db } from '#shared/db/connect.ts'
import { isOutage } from '#shared/db/outage.ts'
import { problem } from '#shared/edge/problem.ts'
import { readEvent } from '#shared/edge/read-event.ts'
import type { App } from '#shared/edge/serve.ts'
import { FAULT_CODE, PermanentError, RetryLater } from '#shared/errors.ts'
import type { Consumer } from '#shared/events/subscriptions.ts'
import type { Log } from '#shared/log.ts'
import { deliver, findDelivery, noteFailure, type Handler } from '#shared/outbox/deliver.ts'
import { deliverOverdue } from '#shared/outbox/overdue.ts'
import type { Relay } from '#shared/outbox/relay.ts'
import { inTrace } from '#shared/telemetry/trace.ts'

/** Largest event, bytes: 60 KiB of data and its attributes, with room. */
const MAX_EVENT_BYTES = 1024 * 1024

/** How long one sweep may work, milliseconds; below the 60 s that the Service allows. */
const SWEEP_MS = 45_000

/** A function that is woken by events. */
export interface EventAppOptions {
  readonly consumer: Consumer
  readonly db: Db
  readonly relay: Relay
  readonly log: Log
  readonly handle: Handler
  /** What else this function owns that may be due, until the deadline; returns the outbox rows it wrote. */
  readonly sweep?: (graceSeconds: number, deadline: AbortSignal) => Promise<readonly string[]>
  readonly close: () => Promise<void>
}

/**
 * The broker's edge. An answer settles or asks for redelivery, as Knative reads it: 202 with an empty body is done, 422
 * goes to the dead letters at once, 503 and 500 come again; at the end of it 500 is quarantined, 503 waits for the sweep.
 * Never 404 or 409, which a broker repeats, never a body that is no event.
 */
export function eventApp({ consumer, db, relay, log, handle, sweep, close }: EventAppOptions): App {
  const app = new Hono()
  const answer = (error: Error) => (codeOf(error) === FAULT_CODE ? answerFault(error, log) : answerError(error, log))

  // Counting makes a web stream of the body; what has a length needs none, because the parser takes no more than that.
  const counted = bodyLimit({
    maxSize: MAX_EVENT_BYTES,
    onError: () => problem({ status: 413, code: 'event_too_large', title: 'Event too large' }),
  })

  app.post(
    '/',
    (c, next) => (Number(c.req.header('content-length')) <= MAX_EVENT_BYTES ? next() : counted(c, next)),
    async (c) => {
      const { ref, attributes } = await readEvent(c.req.raw)
      const found = await findDelivery(db, consumer, ref)
      if (found === undefined) throw new PermanentError('no such event was written by this platform')
      if (found.state !== 'pending') return c.body(null, 202)
      // Answered inside, so that also the line about a failure finds its trace.
      return inTrace(found.traceparent, async () => {
        try {
          const { outcome, written } = await deliver(db, consumer, found.outboxId, handle)
          await relay.after(written)
          log.info(
            { eventId: ref.id, eventType: attributes['type'], subject: attributes['subject'], outcome },
            'event settled',
          )
          return c.body(null, 202)
        } catch (error) {
          const code = codeOf(error as Error)
          if (code !== undefined) await noteFailure(db, consumer, found.outboxId, code)
          return answer(error as Error)
        }
      })
    },
  )

  app.post('/sweep', async (c) => {
    const grace = graceOf(c.req.query('grace'))
    const deadline = AbortSignal.timeout(SWEEP_MS)
    const delivered = await deliverOverdue(db, consumer, handle, grace, deadline)
    const written = [...delivered.flatMap((one) => one.written), ...((await sweep?.(grace, deadline)) ?? [])]
    await relay.after(written)
    if (delivered.length > 0 || written.length > 0)
      log.info({ delivered: delivered.length, written: written.length }, 'swept')
    return c.json({ delivered: delivered.length, written: written.length })
  })

  app.notFound(() => problem({ status: 404, code: 'not_found', title: 'Not found' }))
  app.onError(answer)
  return {
    fetch: (request) => app.fetch(request),
    // A connection, and what the database has to read of its catalogue before the first look at these tables.
    warm: () => findDelivery(db, consumer, { source: '', id: '' }),
    close,
  }
}

/** The response for an error, by class; the message goes to the log and, for a PermanentError, to the dead letter. */
export function answerError(error: Error, log: Log): Response {
  if (error instanceof PermanentError) {
    log.warn({ err: error }, 'refused')
    return problem({ status: 422, code: REFUSED_CODE, title: 'Cannot be handled', detail: error.message })
  }
  log.error({ err: error }, 'failed, to be repeated')
  const seconds = error instanceof RetryLater ? Math.max(1, error.seconds) : 5
  return problem({ status: 503, code: 'retry_later', title: 'Temporary failure' }, { 'retry-after': String(seconds) })
}

const REFUSED_CODE = 'unprocessable'

/**
 * What keeps an event from being handled at all, as its delivery has it: refused, or, if nobody was told to wait and the
 * database is not away, something is wrong with the event or with us. Undefined: it may work later.
 */
function codeOf(error: Error): string | undefined {
  if (error instanceof PermanentError) return REFUSED_CODE
  return error instanceof RetryLater || isOutage(error) ? undefined : FAULT_CODE
}

/** The dead-letter sink quarantines what ends like this, where it keeps waiting for what may work later. */
function answerFault(error: Error, log: Log): Response {
  log.error({ err: error }, 'failed')
  return problem({ status: 500, code: FAULT_CODE, title: 'Failed' })
}

/** The age, in seconds, from which a sweep takes a row for overdue: 0 to 3,600, by default 60. */
export function graceOf(query: string | undefined): number {
  const seconds = Number(query ?? 60)
  return Number.isFinite(seconds) ? Math.min(3_600, Math.max(0, seconds)) : 60
}
