import type { LedgerRow } from '#shared/ledger/verify.ts'
import type { Database } from './rebuild.ts'

/** Rows of one look at the table; the whole of it never has to fit into memory. */
const BATCH = 1_000

/** The ledger from its first row to its last. */
export async function* readLedger(database: Database): AsyncGenerator<LedgerRow> {
  for (let after = 0; ;) {
    const { rows } = await database.query(
      'select seq, outbox_id, previous, hash, entry from ledger where seq > $1 order by seq limit $2',
      [after, BATCH],
    )
    for (const row of rows as unknown as readonly LedgerRow[]) {
      after = Number(row.seq)
      yield { ...row, seq: after }
    }
    if (rows.length < BATCH) return
  }
}
