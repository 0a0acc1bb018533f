import { sql } from 'kysely'
import type { Db } from '#shared/db/connect.ts'
import type { Deps, Pending } from './handler.ts'

/** The one thing this function may do in the database; the rules are in the function itself (000002_roles.sql). */
export function store(db: Db): Deps {
  return {
    async append(after, links) {
      const { rows } = await sql<{ pending: Pending }>`
        select ledger_append(${after}, ${links.map(({ outboxId }) => outboxId)}::uuid[],
          ${links.map(({ entry }) => entry)}::text[], ${links.map(({ hash }) => hash)}::text[]) as pending`.execute(db)
      return (rows[0] as { pending: Pending }).pending
    },
  }
}
