import { sql } from 'kysely'
import type { Db } from '#shared/db/connect.ts'
import { iso } from './page.ts'

/** How far the first ping of a project's hook since then has come: inbox, broker, ledger. */
export async function readPing(db: Db, project: string, since: string) {
  const row = await db
    .selectFrom('inbox')
    .innerJoin('hooks', 'hooks.id', 'inbox.hook_id')
    .leftJoin('outbox', 'outbox.inbox_id', 'inbox.id')
    .leftJoin('ledger', 'ledger.outbox_id', 'outbox.id')
    .select(['inbox.received_at', 'outbox.id', 'outbox.sent_at', 'ledger.seq', 'ledger.hash'])
    .where('hooks.project_id', '=', project)
    .where('inbox.event_name', '=', 'ping')
    .where('inbox.received_at', '>=', sql<Date>`${since}::timestamptz`)
    .orderBy('inbox.received_at')
    .limit(1)
    .executeTakeFirst()
  if (row === undefined) return { state: 'waiting' as const, receivedAt: null, event: null, ledger: null }
  const ledger = row.seq === null || row.hash === null ? null : { seq: row.seq, hash: row.hash }
  const state = ledger !== null ? 'in_ledger' : row.sent_at === null ? 'received' : 'sent'
  return { state, receivedAt: iso(row.received_at), event: row.id, ledger } as const
}
