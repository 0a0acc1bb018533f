import pg from 'pg'
import { connect } from '#shared/db/connect.ts'
import { transaction } from '#shared/db/transaction.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import { emit } from '#shared/outbox/write.ts'
import { runEvent } from '#shared/run/run-event.ts'
import { rebuild } from '../../functions/audit-sink/rebuild.ts'
import { addProject, addRun } from '#shared/run/testing/rows.ts'

/**
 * Fills the outbox with events of a run that the ledger does not have yet; all are like one that was really written.
 * Returns what the last of them is about and its type.
 */
export async function fillOutbox(
  url: string,
  rows: number,
): Promise<{ readonly subject: string; readonly type: string }> {
  const db = connect(url, { name: 'bench' })
  const run = await addRun(db, await addProject(db))
  const event = runEvent(EVENT_TYPES.runStarted, run, { rows: { runs: [run] }, attempt: 1 })
  const first = await transaction(db, (tx) => emit(tx, 'stage-dispatcher', event))
  await db.destroy()
  await withClient(url, async (client) => {
    await client.query(
      `insert into outbox (source, event_id, type, subject, producer, event, record, sent_at)
       select source, 'copy-' || n, type, 'copies', producer, event, record, now() from outbox, generate_series(2, $2::int) n
       where id = $1`,
      [first, rows],
    )
    await client.query(
      `insert into deliveries (outbox_id, consumer, due_at, outbox_seq) select id, 'audit-sink', now(), seq from outbox where id <> $1`,
      [first],
    )
    await client.query('vacuum analyze')
  })
  return { subject: 'copies', type: event.type }
}

/** Seconds that the server takes to insert the ledger's rows once more, 500 to a transaction, as the sink does. */
export async function copyLedger(url: string, rows: number): Promise<number> {
  return withClient(url, async (client) => {
    await client.query('create table copy (like ledger including all, foreign key (outbox_id) references outbox (id))')
    const began = performance.now()
    for (let from = 0; from < rows; from += 500) {
      await client.query('insert into copy select * from ledger where seq > $1 and seq <= $2', [from, from + 500])
    }
    const seconds = (performance.now() - began) / 1_000
    await client.query('drop table copy')
    return seconds
  })
}

/** Seconds that it takes to make the state from the whole ledger, in a schema of its own. */
export async function rebuildLedger(url: string): Promise<number> {
  return withClient(url, async (client) => {
    const began = performance.now()
    await rebuild(client, 'rebuilt')
    return (performance.now() - began) / 1_000
  })
}

/** One connection without limits of time, for what prepares a measurement. */
export async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, application_name: 'bench-fill' })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
