import { randomUUID } from 'node:crypto'
import { CloudEvent, HTTP } from 'cloudevents'
import { sql } from 'kysely'
import { crashPoint } from '#shared/crash-point.ts'
import type { Db } from '#shared/db/connect.ts'
import { grouped } from '#shared/grouped.ts'
import { post as postToBroker, type Post } from '#shared/outbox/post.ts'
import { LEASE_SECONDS, type Outgoing } from '#shared/outbox/write.ts'

/** Largest data that travels in an event, bytes; above it `dataref` names the inbox row. */
const MAX_DATA_BYTES = 60 * 1024

/** Rows of others that a request takes along, and how often a process looks for them at most, milliseconds. */
const OVERDUE_ROWS = 20
const LOOK_MS = 1_000

/** An outbox row that was written under a lease, with all that is published: it needs neither a claim nor a look. */
export interface Leased extends Outgoing {
  readonly lease: string
  readonly body: Buffer
}

/** Puts committed events on the broker. */
export interface Relay {
  /**
   * Relays these rows, the ones that are only named if nobody else holds them, and once a second up to 20 overdue ones,
   * until the deadline. Never throws: what stays is the sweep's.
   */
  after(rows: readonly (string | Leased)[]): Promise<void>
  /** Relays overdue rows until there are none or the deadline passes. Returns how many were accepted by the broker. */
  overdue(graceSeconds: number): Promise<number>
}

/** What the relay needs: the broker's ingress and how long one request may spend on it, in milliseconds. */
export interface RelayOptions {
  readonly db: Db
  readonly brokerUrl: string
  readonly deadlineMs: number
  readonly post?: Post
}

/** What became of a post, and under which lease. */
interface Posted {
  readonly id: string
  readonly lease: string
  readonly accepted: boolean
}

/** Which rows of the outbox, as a condition and, where not all of them are meant, an order and a limit. */
type Rows = ReturnType<typeof sql<boolean>>

/** By id alone: what else waits must not be read for them, however much that is. */
const named = (ids: readonly string[]): Rows => sql`id = any(${ids}::uuid[])`

const oldest = (limit: number, graceSeconds: number): Rows =>
  sql`sent_at is null and (lease_until is null or lease_until < now())
    and due_at <= now() - make_interval(secs => ${graceSeconds}) order by due_at, seq limit ${limit}`

/**
 * Claim, post, mark. The claim is a short transaction by state, never a cursor over ids, so a row that commits late is
 * not passed over. A crash after the post repeats the event with the same id; consumers settle it once.
 */
export function createRelay({ db, brokerUrl, deadlineMs, post = postToBroker }: RelayOptions): Relay {
  let looked = -Infinity

  // All columns that decide are read under the lock; only then it is said which rows are free.
  const claim = async (lease: string, rows: Rows): Promise<Outgoing[]> => {
    const claimed = await sql<Outgoing>`
      with seen as materialized (select id, sent_at, lease_until from outbox where ${rows} for update skip locked)
      update outbox set lease = ${lease}, lease_until = now() + make_interval(secs => ${LEASE_SECONDS}), attempts = attempts + 1
      from seen where seen.id = outbox.id and seen.sent_at is null and (seen.lease_until is null or seen.lease_until < now())
      returning outbox.id, outbox.event, outbox.inbox_id`.execute(db)
    return claimed.rows
  }

  const publish = async (row: Outgoing | Leased, until: number): Promise<boolean> => {
    const { headers, body } = await messageOf(db, row)
    const send = () => post(brokerUrl, { headers, body, timeoutMs: Math.max(1, until - performance.now()) })
    // Once more at once: a kept connection may have been closed at the other end just then. Repeating an event is harmless.
    const { status } = await send().catch((error: unknown) => (isOver(until) ? Promise.reject(error as Error) : send()))
    return status >= 200 && status < 300
  }

  // Marks that come together are one statement. Each counts only while the row's lease is the one it was posted under. Nobody
  // waits for the disk: what is lost with the server is posted again, under its id.
  const marks = grouped({
    async run(posted: readonly Posted[]) {
      await sql`
        update outbox set lease = null, lease_until = null,
          sent_at = case when accepted then now() end,
          due_at = case when accepted then due_at
            else now() + least(300, 2 ^ least(attempts, 8)) * interval '1 second' end
        from set_config('synchronous_commit', 'off', true), unnest(
          ${posted.map(({ id }) => id)}::uuid[],
          ${posted.map((each) => each.lease)}::uuid[],
          ${posted.map(({ accepted }) => accepted)}::boolean[]) as posted (id, lease, accepted)
        where outbox.id = posted.id and outbox.lease = posted.lease`.execute(db)
      return posted
    },
  })

  const send = async (row: Outgoing | Leased, lease: string, until: number): Promise<boolean> => {
    // One row that cannot be published holds up no other; it is put off and stays visible as unsent.
    const accepted = await publish(row, until).catch(() => false)
    crashPoint('relay.after-post', row.event.type)
    await marks.add({ id: row.id, lease, accepted })
    crashPoint('relay.after-mark', row.event.type)
    return accepted
  }

  const run = async (which: Rows, until: number): Promise<number> => {
    const lease = randomUUID()
    const rows = await claim(lease, which)
    crashPoint('relay.after-claim')
    const results = await Promise.allSettled(rows.map((row) => send(row, lease, until)))
    return results.filter((result) => result.status === 'fulfilled' && result.value).length
  }

  return {
    async after(rows) {
      const until = performance.now() + deadlineMs
      const ids = rows.filter((row) => typeof row === 'string')
      const leased = rows.filter((row) => typeof row !== 'string')
      try {
        await Promise.allSettled(leased.map((row) => send(row, row.lease, until)))
        if (ids.length > 0) await run(named(ids), until)
        if (isOver(until) || performance.now() - looked < LOOK_MS) return
        looked = performance.now()
        await run(oldest(OVERDUE_ROWS, 5), until)
      } catch {
        // The rows are committed; the next request or the sweep relays them.
      }
    },
    async overdue(graceSeconds) {
      const until = performance.now() + deadlineMs
      let total = 0
      for (let sent = 1; sent > 0 && !isOver(until); total += sent) sent = await run(oldest(100, graceSeconds), until)
      return total
    },
  }
}

const isOver = (until: number) => performance.now() >= until

/** The event in binary mode. The data is not the library's: a forge's is passed on as the bytes that came. */
async function messageOf(db: Db, row: Outgoing | Leased) {
  const { extensions, data, subject, ...attributes } = row.event
  const body = row.inbox_id === null ? (data === null ? null : JSON.stringify(data)) : await bodyOf(db, row)
  const isTooLarge = row.inbox_id !== null && (body?.length ?? 0) > MAX_DATA_BYTES
  const event = new CloudEvent({
    ...attributes,
    // CloudEvents knows no empty subject, only none.
    ...(subject === '' ? {} : { subject }),
    ...extensions,
    datacontenttype: 'application/json',
    ...(isTooLarge ? { dataref: `/inbox/${row.inbox_id}` } : {}),
  })
  const headers = Object.entries(HTTP.binary(event).headers)
  return {
    headers: Object.fromEntries(headers.map(([name, value]) => [name, headerValue(name, String(value))])),
    body: isTooLarge ? null : body,
  }
}

async function bodyOf(db: Db, row: Outgoing | Leased): Promise<Buffer> {
  if ('body' in row) return row.body
  const inbox = await db.selectFrom('inbox').select(['body']).where('id', '=', row.inbox_id).executeTakeFirstOrThrow()
  return inbox.body
}

/** Percent-encoding of attribute values in headers (CloudEvents HTTP binding 3.1.3.2): labels and refs are any Unicode. */
function headerValue(name: string, value: string): string {
  return name.startsWith('ce-')
    ? value.replace(/[^\x21\x23\x24\x26-\x7e]/gu, (character) => encodeURIComponent(character.toWellFormed()))
    : value
}
