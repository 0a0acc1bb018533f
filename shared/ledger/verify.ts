import { canonicalJson } from '#shared/digest.ts'
import { GENESIS, link } from './link.ts'

/** A row of the ledger as it is stored. */
export interface LedgerRow {
  readonly seq: number
  readonly outbox_id: string
  readonly previous: string
  readonly hash: string
  readonly entry: string
}

/** The end of a chain: what somebody who distrusts the database writes down elsewhere. */
export interface Head {
  readonly seq: number
  readonly hash: string
}

/** The whole chain holds, or the first row that does not and why. */
export type Verdict =
  | { readonly ok: true; readonly head: Head }
  | { readonly ok: false; readonly seq: number; readonly problem: string }

/**
 * Walks the rows in order of `seq` and checks each against the one before, holding one row at a time. A chain that was
 * cut short or computed anew is whole in itself: only a head from elsewhere, `expected`, shows it. `from`: the row before
 * the first of these, when they are not the whole chain.
 */
export async function verify(
  rows: AsyncIterable<LedgerRow> | Iterable<LedgerRow>,
  expected?: Head,
  from: Head = { seq: 0, hash: GENESIS },
): Promise<Verdict> {
  let head = from
  for await (const row of rows) {
    const problem = problemOf(row, head)
    if (problem !== undefined) return { ok: false, seq: row.seq, problem }
    head = { seq: row.seq, hash: row.hash }
    if (expected?.seq === head.seq && expected.hash !== head.hash)
      return { ok: false, seq: head.seq, problem: 'the hash is not the one that was written down' }
  }
  if (expected !== undefined && expected.seq > head.seq)
    return { ok: false, seq: head.seq + 1, problem: `the chain ends at ${head.seq}; ${expected.seq} was written down` }
  return { ok: true, head }
}

function problemOf(row: LedgerRow, head: Head): string | undefined {
  if (row.seq !== head.seq + 1) return `follows ${head.seq}: rows are missing or out of order`
  if (row.previous !== head.hash) return 'does not name the hash of the row before'
  if (row.hash !== link(head.hash, row.seq, row.entry)) return 'has another hash than its content'
  return entryProblem(row)
}

/** The row's own columns are not hashed: they have to be what the hashed entry says. */
function entryProblem(row: LedgerRow): string | undefined {
  let entry: { seq?: unknown; outboxId?: unknown }
  try {
    entry = JSON.parse(row.entry) as typeof entry
    if (canonicalJson(entry) !== row.entry) return 'is not in canonical form'
  } catch {
    return 'is not JSON'
  }
  if (entry.seq !== row.seq) return 'says another sequence number than its row'
  return entry.outboxId === row.outbox_id ? undefined : 'says another event than its row'
}
