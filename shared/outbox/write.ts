import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import type { Projection, recorded } from '#shared/db/projections.ts'
import type { Row } from '#shared/db/schema.ts'
import type { Tx } from '#shared/db/transaction.ts'
import { consumersOf } from '#shared/events/subscriptions.ts'

/** Rows as they are after the change, by table: what state is rebuilt from. What the ledger does not keep may be left out. */
export type ChangedRows = { readonly [T in Projection]?: readonly Omit<Row<T>, keyof (typeof recorded)[T]>[] }

/** An event that is about to exist. */
export interface Emission {
  readonly type: string
  /** Empty for a forge's event that has none. */
  readonly subject: string
  /** Lower-case alphanumeric names; strings only. `undefined` ones are left out. */
  readonly extensions: Readonly<Record<string, string | undefined>>
  /** Identifiers, at most 60 KiB; null for a forge's event, whose data is the inbox row's body. */
  readonly data: Readonly<Record<string, unknown>> | null
  /** Every row of the projections that this transaction changed for this event. */
  readonly rows: ChangedRows
  /** A forge's event keeps its own identity; ours get the outbox row's id. */
  readonly forge?: { readonly inboxId: string; readonly source: string; readonly id: string; readonly time: string }
}

/** Source of the platform's own events: `/codex-k8s/<function>`. */
const ownSource = (producer: string) => `/codex-k8s/${producer}`

/**
 * Writes the event and a `deliveries` row for each of its consumers into the caller's transaction: what the transaction
 * changes and what it says about it become true together. Returns the outbox row's id for the relay.
 */
export async function emit(tx: Tx, producer: string, emission: Emission): Promise<string> {
  const id = randomUUID()
  const extensions = Object.fromEntries(
    Object.entries(emission.extensions).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
  const source = emission.forge?.source ?? ownSource(producer)
  const eventId = emission.forge?.id ?? id
  const time = emission.forge?.time ?? new Date().toISOString()
  const event = {
    source,
    id: eventId,
    type: emission.type,
    subject: emission.subject,
    time,
    extensions,
    data: emission.data,
  }
  await tx
    .insertInto('outbox')
    .values({
      id,
      source,
      event_id: eventId,
      type: emission.type,
      subject: emission.subject,
      producer,
      event: JSON.stringify(event),
      record: JSON.stringify({ ...event, producer, rows: emission.rows }),
      inbox_id: emission.forge?.inboxId ?? null,
    })
    .execute()
  const consumers = consumersOf(emission.type, extensions)
  await tx
    .insertInto('deliveries')
    .values(consumers.map((consumer) => ({ outbox_id: id, consumer, due_at: sql<Date>`now()` })))
    .execute()
  return id
}
