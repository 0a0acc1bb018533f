import { sql } from 'kysely'
import type { Db } from '#shared/db/connect.ts'
import { GENESIS } from '#shared/ledger/link.ts'
import { verify, type Head } from '#shared/ledger/verify.ts'
import { failed, ok, warning, type Finding } from './finding.ts'
import { conflict, type Clients, type Operations } from './handler.ts'
import { one } from './one.ts'

/** Entries of the ledger that one request verifies, and that the checks look at. */
const MOST_VERIFIED = 20_000
const LOOKED_AT = 1_000

/** The ledger for those who want to see for themselves. */
export function ledgerOperations({ db }: Clients): Pick<Operations, 'getLedger' | 'verifyLedger'> {
  return {
    async getLedger() {
      const head = await headOf(db)
      const { behind } = await one<{ behind: number }>(
        db,
        sql`select count(*)::int as behind from deliveries where consumer = 'audit-sink' and state <> 'done'`,
      )
      return { head: textOf(head), behind }
    },

    async verifyLedger({ query: { after } }) {
      const [seq = '0', hash = GENESIS] = after?.split(':') ?? []
      const from = { seq: Number(seq), hash }
      const before =
        from.seq === 0
          ? { hash: GENESIS }
          : await db.selectFrom('ledger').select('hash').where('seq', '=', from.seq).executeTakeFirst()
      if (before === undefined)
        return conflict('no_such_entry', 'The ledger ends before this entry', 'It was cut, or it is another ledger.')
      if (before.hash !== from.hash) {
        const problem = { seq: from.seq, says: 'the hash is not the one that was written down' }
        return { ok: false, head: textOf(from), more: false, problem }
      }
      const rows = await entries(db, from.seq, MOST_VERIFIED + 1)
      const verdict = await verify(rows.slice(0, MOST_VERIFIED), undefined, from)
      return verdict.ok
        ? { ok: true, head: textOf(verdict.head), more: rows.length > MOST_VERIFIED, problem: null }
        : { ok: false, head: textOf(from), more: false, problem: { seq: verdict.seq, says: verdict.problem } }
    },
  }
}

/** Whether the newest entries hold, and whether all that is overdue is in it, seconds. */
export async function ledgerCheck(db: Db, overdueSeconds: number): Promise<Finding> {
  const head = await headOf(db)
  const since = Math.max(0, head.seq - LOOKED_AT)
  const [before] = since === 0 ? [] : await entries(db, since - 1, 1)
  const from = before ?? { seq: 0, hash: GENESIS }
  const verdict = await verify(await entries(db, from.seq, LOOKED_AT), undefined, from)
  if (!verdict.ok)
    return failed(
      `Entry ${verdict.seq} ${verdict.problem}.`,
      'Somebody changed the ledger. Stop, keep the database as it is, and run npm run audit:verify.',
    )
  const { late } = await one<{ late: number }>(
    db,
    sql`select count(*)::int as late from deliveries where consumer = 'audit-sink' and state <> 'done'
      and due_at < now() - make_interval(secs => ${overdueSeconds})`,
  )
  return late > 0
    ? warning(`${late} events are not in the ledger yet; its head is ${head.seq}.`, 'See the log of audit-sink.')
    : ok(`The newest ${Math.min(LOOKED_AT, head.seq)} of ${head.seq} entries hold.`)
}

async function headOf(db: Db): Promise<Head> {
  const row = await db.selectFrom('ledger').select(['seq', 'hash']).orderBy('seq', 'desc').limit(1).executeTakeFirst()
  return row ?? { seq: 0, hash: GENESIS }
}

function entries(db: Db, after: number, limit: number) {
  return db.selectFrom('ledger').selectAll().where('seq', '>', after).orderBy('seq').limit(limit).execute()
}

const textOf = ({ seq, hash }: Head) => `${seq}:${hash}`
