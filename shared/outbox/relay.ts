import { randomUUID } from 'node:crypto'
import { CloudEvent, HTTP } from 'cloudevents'
import { sql } from 'kysely'
import { crashPoint } from '#shared/crash-point.ts'
import type { Db } from '#shared/db/connect.ts'

/** Largest data that travels in an event, bytes; above it `dataref` names the inbox row. */
const MAX_DATA_BYTES = 60 * 1024

/** How long a claimed row is ours, seconds. Longer than a relay may take. */
const LEASE_SECONDS = 30

/** Rows of others that a request takes along. */
const OVERDUE_ROWS = 20

/** Puts committed events on the broker. */
export interface Relay {
  /** Relays these rows, then up to 20 overdue ones, until the deadline. Never throws: what stays is the sweep's. */
  after(ids: readonly string[]): Promise<void>
  /** Relays overdue rows until there are none or the deadline passes. Returns how many were accepted by the broker. */
  overdue(graceSeconds: number): Promise<number>
}

/** What the relay needs: the broker's ingress and how long one request may spend on it, in milliseconds. */
export interface RelayOptions {
  readonly db: Db
  readonly brokerUrl: string
  readonly deadlineMs: number
  readonly post?: typeof fetch
}

interface Claimed {
  id: string
  event: {
    source: string
    id: string
    type: string
    subject: string
    time: string
    extensions: Record<string, string>
    data: unknown
  }
  inbox_id: string | null
}

/**
 * Claim, post, mark. The claim is a short transaction by state, never a cursor over ids, so a row that commits late is
 * not passed over. A crash after the post repeats the event with the same id; consumers settle it once.
 */
export function createRelay({ db, brokerUrl, deadlineMs, post = fetch }: RelayOptions): Relay {
  const claim = async (lease: string, limit: number, which: ReturnType<typeof sql<boolean>>): Promise<Claimed[]> => {
    const rows = await sql<Claimed>`
      update outbox set lease = ${lease}, lease_until = now() + make_interval(secs => ${LEASE_SECONDS}), attempts = attempts + 1
      where id in (
        select id from outbox where sent_at is null and (lease_until is null or lease_until < now()) and ${which}
        order by due_at, seq limit ${limit} for update skip locked)
      returning id, event, inbox_id`.execute(db)
    return rows.rows
  }

  const publish = async (row: Claimed, signal: AbortSignal): Promise<boolean> => {
    const message = HTTP.binary(await toCloudEvent(db, row))
    const headers = Object.entries(message.headers).map(([name, value]) => [name, headerValue(name, String(value))])
    const body = (message.body as string | undefined) ?? null
    const send = () => post(brokerUrl, { method: 'POST', headers: Object.fromEntries(headers), body, signal })
    // Once more at once: a kept connection may have been closed at the other end just then. Repeating an event is harmless.
    const response = await send().catch((error: unknown) => (signal.aborted ? Promise.reject(error as Error) : send()))
    await response.body?.cancel()
    return response.ok
  }

  const send = async (row: Claimed, lease: string, signal: AbortSignal): Promise<boolean> => {
    // One row that cannot be published holds up no other; it is put off and stays visible as unsent.
    const accepted = await publish(row, signal).catch(() => false)
    crashPoint('relay.after-post', row.event.type)
    await db
      .updateTable('outbox')
      .set(
        accepted
          ? { sent_at: sql`now()`, lease: null, lease_until: null }
          : {
              lease: null,
              lease_until: null,
              due_at: sql`now() + least(300, 2 ^ least(attempts, 8)) * interval '1 second'`,
            },
      )
      .where('id', '=', row.id)
      .where('lease', '=', lease)
      .execute()
    crashPoint('relay.after-mark', row.event.type)
    return accepted
  }

  const run = async (limit: number, which: ReturnType<typeof sql<boolean>>, signal: AbortSignal): Promise<number> => {
    const lease = randomUUID()
    const rows = await claim(lease, limit, which)
    crashPoint('relay.after-claim')
    const results = await Promise.allSettled(rows.map((row) => send(row, lease, signal)))
    return results.filter((result) => result.status === 'fulfilled' && result.value).length
  }

  return {
    async after(ids) {
      const signal = AbortSignal.timeout(deadlineMs)
      try {
        if (ids.length > 0) await run(ids.length, sql<boolean>`id = any(${ids}::uuid[])`, signal)
        if (!signal.aborted) await run(OVERDUE_ROWS, sql<boolean>`due_at < now() - interval '5 seconds'`, signal)
      } catch {
        // The rows are committed; the next request or the sweep relays them.
      }
    },
    async overdue(graceSeconds) {
      const signal = AbortSignal.timeout(deadlineMs)
      const which = sql<boolean>`due_at <= now() - make_interval(secs => ${graceSeconds})`
      let total = 0
      for (let sent = 1; sent > 0 && !signal.aborted; total += sent) sent = await run(100, which, signal)
      return total
    },
  }
}

async function toCloudEvent(db: Db, row: Claimed): Promise<CloudEvent<unknown>> {
  const { extensions, data, subject, ...attributes } = row.event
  // CloudEvents knows no empty subject, only none.
  const event = {
    ...attributes,
    ...(subject === '' ? {} : { subject }),
    ...extensions,
    datacontenttype: 'application/json',
  }
  if (row.inbox_id === null) return new CloudEvent({ ...event, data })
  const inbox = await db.selectFrom('inbox').select(['body']).where('id', '=', row.inbox_id).executeTakeFirstOrThrow()
  if (inbox.body.length > MAX_DATA_BYTES) return new CloudEvent({ ...event, dataref: `/inbox/${row.inbox_id}` })
  return new CloudEvent({ ...event, data: inbox.body.toString('utf8') })
}

/** Percent-encoding of attribute values in headers (CloudEvents HTTP binding 3.1.3.2): labels and refs are any Unicode. */
function headerValue(name: string, value: string): string {
  return name.startsWith('ce-')
    ? value.replace(/[^\x21\x23\x24\x26-\x7e]/gu, (character) => encodeURIComponent(character.toWellFormed()))
    : value
}
