import { sql } from 'kysely'
import { crashPoint } from '#shared/crash-point.ts'
import type { Db } from '#shared/db/connect.ts'
import { transaction, type Tx } from '#shared/db/transaction.ts'
import { RetryLater } from '#shared/errors.ts'
import type { Delivered, EventRef } from '#shared/events/delivered.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import type { Consumer } from '#shared/events/subscriptions.ts'
import { emit, type Emission } from '#shared/outbox/write.ts'
import { inSpan, type SpanOptions } from '#shared/telemetry/trace.ts'

/** What a handler may write with: the open transaction, and `emit` for the events that follow from the change. */
export interface Writer {
  readonly tx: Tx
  emit(emission: Emission): Promise<void>
}

/** One transaction that a producer writes in. `written` are the outbox rows of what it said, to be relayed after it. */
export function writeAs<T>(
  db: Db,
  producer: string,
  work: (writer: Writer) => Promise<T>,
): Promise<{ readonly result: T; readonly written: readonly string[] }> {
  return transaction(db, async (tx) => {
    const written: string[] = []
    const result = await work({ tx, emit: async (emission) => void written.push(await emit(tx, producer, emission)) })
    return { result, written }
  })
}

/**
 * What became of an event. `write` runs in the one transaction that also settles the delivery; a world that moved since
 * the handler looked is a `RetryLater` of 0 seconds thrown there, and the handler looks again.
 */
export interface Settlement {
  /** For the log and the `deliveries` row: what was done, or why nothing. */
  readonly outcome: string
  readonly write?: (writer: Writer) => Promise<void>
  /** Outbox rows that were committed on the way, in transactions of their own, and want to be relayed. */
  readonly written?: readonly string[]
}

/** Parse, load, decide; the writing is the settlement's. */
export type Handler = (event: Delivered) => Promise<Settlement>

/** The end of one delivery, and the outbox rows it wrote. */
export interface Delivery {
  readonly outcome: string
  readonly written: readonly string[]
}

/** How often a handler looks again at a world that moved while it decided. */
const LOOKS = 5

/** A consumer's row. `hasFailed`: it said itself that it cannot handle the event, or failed at it, and nobody put the row back. */
export interface Found {
  readonly outboxId: string
  readonly state: string
  readonly traceparent: string | null
  readonly hasFailed: boolean
}

/** The consumer's own row for a posted event, or undefined for an event that nobody here wrote. */
export async function findDelivery(db: Db, consumer: Consumer, ref: EventRef): Promise<Found | undefined> {
  const row = await db
    .selectFrom('deliveries')
    .innerJoin('outbox', 'outbox.id', 'deliveries.outbox_id')
    .select(['outbox.id as outboxId', 'deliveries.state'])
    .select([
      sql<string | null>`outbox.event #>> '{extensions,traceparent}'`.as('traceparent'),
      sql<boolean>`deliveries.error is not null`.as('hasFailed'),
    ])
    .where('outbox.source', '=', ref.source)
    .where('outbox.event_id', '=', ref.id)
    .where('deliveries.consumer', '=', consumer)
    .executeTakeFirst()
  return row
}

/** Handles the event and settles the consumer's row: one transaction. A row that is settled already is left as it is. */
export async function deliver(db: Db, consumer: Consumer, outboxId: string, handle: Handler): Promise<Delivery> {
  const event = await load(db, outboxId)
  return inSpan(spanOf(consumer, event), () =>
    lookAgain(async () => {
      const settlement = await handle(event)
      crashPoint('handle.before-transaction', consumer)
      const delivery = await settle(db, consumer, outboxId, settlement)
      crashPoint('handle.after-commit', consumer)
      return delivery
    }),
  )
}

/** Handled again it is another span in the same trace: the event says which. */
function spanOf(consumer: Consumer, { type, id, extensions }: Delivered): SpanOptions {
  return {
    name: `process ${type}`,
    kind: 'consumer',
    parent: extensions['traceparent'],
    attributes: {
      'faas.name': consumer,
      'messaging.operation.type': 'process',
      'cloudevents.event_type': type,
      'cloudevents.event_id': id,
      'codex_k8s.run': extensions['run'],
    },
  }
}

/** Looks and writes, and looks again while the world moves in between: a `RetryLater` of 0 seconds, five times at most. */
export async function lookAgain<T>(lookAndWrite: () => Promise<T>): Promise<T> {
  for (let look = 1; ; look += 1) {
    try {
      return await lookAndWrite()
    } catch (error) {
      if (!(error instanceof RetryLater && error.seconds === 0)) throw error
      if (look === LOOKS) throw new RetryLater(error.message, { cause: error, seconds: 1 })
    }
  }
}

async function settle(
  db: Db,
  consumer: Consumer,
  outboxId: string,
  { outcome, write, written: before = [] }: Settlement,
): Promise<Delivery> {
  const { result, written } = await writeAs(db, consumer, async (writer) => {
    const { tx } = writer
    const own = await tx
      .selectFrom('deliveries')
      .select('state')
      .where('outbox_id', '=', outboxId)
      .where('consumer', '=', consumer)
      .forUpdate()
      .executeTakeFirstOrThrow()
    if (own.state !== 'pending') return `already ${own.state}`
    await write?.(writer)
    await tx
      .updateTable('deliveries')
      .set({
        state: 'done',
        outcome: outcome.slice(0, 500),
        error: null,
        settled_at: sql`now()`,
      })
      .where('outbox_id', '=', outboxId)
      .where('consumer', '=', consumer)
      .execute()
    crashPoint('handle.before-commit', consumer)
    return outcome
  })
  return { outcome: result, written: [...before, ...written] }
}

/** Keeps with a pending row that its consumer failed at it: of whoever says so later this is believed, and nothing else. */
export async function noteFailure(db: Db, consumer: Consumer, outboxId: string, code: string): Promise<void> {
  await db
    .updateTable('deliveries')
    .set({ error: JSON.stringify({ code }) })
    .where('outbox_id', '=', outboxId)
    .where('consumer', '=', consumer)
    .where('state', '=', 'pending')
    .execute()
}

/**
 * Takes the row out of the way, visibly: no sweep touches it until somebody redrives it. Settled rows stay settled. The
 * ledger hears of it, but not of its own: it takes in what is not there yet whatever its delivery says.
 */
export async function quarantine(
  db: Db,
  consumer: Consumer,
  outboxId: string,
  outcome: string,
  error: object,
): Promise<void> {
  await transaction(db, async (tx) => {
    const row = await tx
      .updateTable('deliveries')
      .set({
        state: 'quarantined',
        outcome: outcome.slice(0, 500),
        error: JSON.stringify(error),
        settled_at: sql`now()`,
      })
      .where('outbox_id', '=', outboxId)
      .where('consumer', '=', consumer)
      .where('state', '=', 'pending')
      .returning('attempts')
      .executeTakeFirst()
    if (row === undefined || consumer === 'audit-sink') return
    await emit(tx, consumer, {
      type: EVENT_TYPES.deliveryQuarantined,
      subject: `deliveries/${outboxId}/${consumer}`,
      extensions: { consumer },
      data: { outbox: outboxId, consumer, attempts: row.attempts },
      rows: {},
    })
  })
}

async function load(db: Db, outboxId: string): Promise<Delivered> {
  const row = await db
    .selectFrom('outbox')
    .leftJoin('inbox', 'inbox.id', 'outbox.inbox_id')
    .select(['outbox.id', 'outbox.event', 'inbox.body', 'inbox.project_id'])
    .where('outbox.id', '=', outboxId)
    .executeTakeFirstOrThrow()
  const event = row.event as unknown as Omit<Delivered, 'outboxId' | 'projectId'>
  const data: unknown = row.body === null ? event.data : JSON.parse(row.body.toString('utf8'))
  return { ...event, data, outboxId: row.id, projectId: row.project_id }
}
