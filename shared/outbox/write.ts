import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import type { Projection, recorded } from '#shared/db/projections.ts'
import type { Row } from '#shared/db/schema.ts'
import type { Tx } from '#shared/db/transaction.ts'
import { consumersOf } from '#shared/events/subscriptions.ts'
import { currentTrace } from '#shared/telemetry/trace.ts'

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
  /** Of one of our events, where finding the same thing twice has to be the same event; else the outbox row's id. */
  readonly id?: string
  /** A forge's event keeps its own identity. */
  readonly forge?: { readonly inboxId: string; readonly source: string; readonly id: string; readonly time: string }
}

/** An outbox row as it is published. */
export interface Outgoing {
  readonly id: string
  readonly event: {
    readonly source: string
    readonly id: string
    readonly type: string
    readonly subject: string
    readonly time: string
    readonly extensions: Readonly<Record<string, string>>
    readonly data: unknown
  }
  /** The inbox row whose body is the data of a forge's event. */
  readonly inbox_id: string | null
}

/** How long a leased outbox row belongs to one relay, seconds. Longer than a relay may take. */
export const LEASE_SECONDS = 30

/** Source of the platform's own events: `/codex-k8s/<function>`. */
const ownSource = (producer: string) => `/codex-k8s/${producer}`

/**
 * Writes the event and a `deliveries` row for each of its consumers into the caller's transaction: what the transaction
 * changes and what it says about it become true together. Returns the outbox row's id for the relay.
 */
export async function emit(tx: Tx, producer: string, emission: Emission): Promise<string> {
  const [{ id }] = (await emitAll(tx, producer, [emission])) as [Outgoing]
  return id
}

/**
 * The same for any number of events, in one statement. Rows with a lease belong from the start to the relay that knows
 * it, so it needs no claim; when the process ends before it has relayed them, the lease ends and they are the sweep's.
 */
export async function emitAll(
  tx: Tx,
  producer: string,
  emissions: readonly Emission[],
  lease: string | null = null,
): Promise<Outgoing[]> {
  if (emissions.length === 0) return []
  const rows = emissions.map((emission) => rowOf(producer, emission))
  await sql`
    with written as (
      select * from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as row (
        id uuid, source text, event_id text, type text, subject text, event jsonb, record jsonb, inbox_id uuid, consumers jsonb)
    ), stored as (
      insert into outbox (id, source, event_id, type, subject, producer, event, record, inbox_id, lease, lease_until, attempts)
      select id, source, event_id, type, subject, ${producer}, event, record, inbox_id,
        ${lease}::uuid,
        case when ${lease}::uuid is not null then now() + make_interval(secs => ${LEASE_SECONDS}) end,
        case when ${lease}::uuid is null then 0 else 1 end
      from written
      returning id, seq
    )
    insert into deliveries (outbox_id, consumer, due_at, outbox_seq)
    select id, consumer, now(), stored.seq
    from written join stored using (id), jsonb_array_elements_text(consumers) as consumer`.execute(tx)
  return rows
}

function rowOf(producer: string, emission: Emission) {
  const { type, subject, data, forge } = emission
  const id = randomUUID()
  const extensions = Object.fromEntries(
    // The CloudEvents extension for distributed tracing: an event outlives the work that caused it.
    Object.entries({ traceparent: currentTrace(), ...emission.extensions }).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    ),
  )
  const source = forge?.source ?? ownSource(producer)
  const eventId = forge?.id ?? emission.id ?? id
  const time = forge?.time ?? new Date().toISOString()
  const event = { source, id: eventId, type, subject, time, extensions, data }
  return {
    id,
    source,
    event_id: eventId,
    type,
    subject,
    event,
    record: { ...event, producer, rows: emission.rows },
    inbox_id: forge?.inboxId ?? null,
    consumers: consumersOf(type, extensions),
  }
}
