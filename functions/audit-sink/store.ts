import { sql } from 'kysely'
import { crashPoint } from '#shared/crash-point.ts'
import type { Db } from '#shared/db/connect.ts'
import { transaction, type Tx } from '#shared/db/transaction.ts'
import { RetryLater } from '#shared/errors.ts'
import { entryText, GENESIS, link } from './chain.ts'
import type { Deps } from './handler.ts'

/** Rows appended in one transaction. */
const BATCH = 500

/** One appender at a time; the lock ends with the transaction, however that ends. */
const LEDGER_LOCK = 7_236_420

/** The ledger's part of the database. */
export function store(db: Db): Deps {
  return {
    async appendThrough(outboxId) {
      let total = 0
      let idle = 0
      for (;;) {
        const present = await db.selectFrom('ledger').select('seq').where('outbox_id', '=', outboxId).executeTakeFirst()
        if (present !== undefined) return total
        const appended = await transaction(db, append)
        if (appended === 0) idle += 1
        // Twice nothing to append and still not there: somebody settled the delivery without the ledger.
        if (idle > 1) throw new RetryLater(`event ${outboxId} is not in the ledger and not pending for it`)
        total += appended
      }
    },
  }
}

/** Appends the oldest records whose audit delivery is pending: by state, so one that committed late is not passed over. */
async function append(tx: Tx): Promise<number> {
  await sql`select pg_advisory_xact_lock(${LEDGER_LOCK})`.execute(tx)
  const head = await tx.selectFrom('ledger').select(['seq', 'hash']).orderBy('seq', 'desc').limit(1).executeTakeFirst()
  const rows = await tx
    .selectFrom('outbox')
    .innerJoin('deliveries', 'deliveries.outbox_id', 'outbox.id')
    .leftJoin('ledger', 'ledger.outbox_id', 'outbox.id')
    .select(['outbox.id', 'outbox.record', 'outbox.created_at'])
    .where('deliveries.consumer', '=', 'audit-sink')
    .where('deliveries.state', '!=', 'done')
    .where('ledger.seq', 'is', null)
    .orderBy('outbox.seq')
    .limit(BATCH)
    .execute()
  if (rows.length === 0) return 0
  let previous = head?.hash ?? GENESIS
  let seq = head?.seq ?? 0
  const links = rows.map((row) => {
    seq += 1
    const entry = entryText({ seq, outboxId: row.id, at: row.created_at, record: row.record })
    const hash = link(previous, seq, entry)
    const made = { seq, outbox_id: row.id, previous, hash, entry }
    previous = hash
    return made
  })
  crashPoint('audit.before-insert')
  await tx.insertInto('ledger').values(links).execute()
  await tx
    .updateTable('deliveries')
    .set({ state: 'done', outcome: 'in the ledger', error: null, settled_at: sql`now()` })
    .where('consumer', '=', 'audit-sink')
    .where(
      'outbox_id',
      'in',
      rows.map(({ id }) => id),
    )
    .execute()
  crashPoint('audit.before-commit')
  return rows.length
}
