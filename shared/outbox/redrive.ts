import { sql } from 'kysely'
import type { Db } from '#shared/db/connect.ts'
import type { Consumer } from '#shared/events/subscriptions.ts'

/**
 * Puts a quarantined delivery back once its cause is repaired: pending, due at once, its tries forgotten. The consumer's
 * next sweep takes it up. False for a row that is not quarantined, which is left as it is: a redrive twice is one effect.
 */
export async function redrive(db: Db, consumer: Consumer, outboxId: string): Promise<boolean> {
  const row = await db
    .updateTable('deliveries')
    .set({ state: 'pending', due_at: sql`now()`, attempts: 0, outcome: null, error: null, settled_at: null })
    .where('outbox_id', '=', outboxId)
    .where('consumer', '=', consumer)
    .where('state', '=', 'quarantined')
    .returning('outbox_id')
    .executeTakeFirst()
  return row !== undefined
}
