import { randomUUID } from 'node:crypto'
import { sql, type RawBuilder } from 'kysely'
import { prepared, type Db } from '#shared/db/connect.ts'
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
  const row = rowOf(producer, emission)
  await statementOf(producer, [row], null, sql``, sql``).execute(tx)
  return row.id
}

/** An event about a row that is written in the same statement, by the row's id. */
export interface EmissionBeside extends Emission {
  readonly beside: string
}

/**
 * Rows of the caller's and the events about them in one statement, which is a transaction by itself. `kept` writes the
 * rows and returns the `id` of each that it wrote; of a row that it did not write there is no event. Returns the events
 * that there are. They belong from the start to the relay that knows the lease, so it needs no claim; when the process
 * ends before it has relayed them, the lease ends and they are the sweep's.
 */
export async function emitBeside(
  db: Db,
  producer: string,
  kept: RawBuilder<unknown>,
  emissions: readonly EmissionBeside[],
  lease: string,
): Promise<(Outgoing & { readonly beside: string })[]> {
  const rows = emissions.map((emission) => ({ ...rowOf(producer, emission), beside: emission.beside }))
  const statement = statementOf(
    producer,
    rows,
    lease,
    sql`kept as (${kept}), `,
    sql`where beside in (select id from kept)`,
  )
  const written = await statement.execute(db)
  const ids = new Set(written.rows.map(({ id }) => id))
  return rows.filter(({ id }) => ids.has(id))
}

const statementOf = (
  producer: string,
  rows: readonly object[],
  lease: string | null,
  before: RawBuilder<unknown>,
  which: RawBuilder<unknown>,
) => sql<{ id: string }>`${prepared}
    with ${before} written as (
      select * from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as row (
        id uuid, source text, event_id text, type text, subject text, event jsonb, record jsonb, inbox_id uuid,
        consumers jsonb, beside uuid)
      ${which}
    ), stored as (
      insert into outbox (id, source, event_id, type, subject, producer, event, record, inbox_id, lease, lease_until, attempts)
      select id, source, event_id, type, subject, ${producer}, event, record, inbox_id,
        ${lease}::uuid,
        case when ${lease}::uuid is not null then now() + make_interval(secs => ${LEASE_SECONDS}) end,
        case when ${lease}::uuid is null then 0 else 1 end
      from written
      returning id, seq
    ), due as (
      insert into deliveries (outbox_id, consumer, due_at, outbox_seq)
      select id, consumer, now(), stored.seq
      from written join stored using (id), jsonb_array_elements_text(consumers) as consumer
    )
    select id from written`

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
