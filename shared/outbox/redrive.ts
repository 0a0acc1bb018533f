import { sql } from 'kysely'
import { crashPoint } from '#shared/crash-point.ts'
import type { Db } from '#shared/db/connect.ts'
import { transaction } from '#shared/db/transaction.ts'
import type { Consumer } from '#shared/events/subscriptions.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import { emit } from '#shared/outbox/write.ts'

/**
 * Puts a quarantined delivery back once its cause is repaired: pending, due at once, its tries forgotten. The event goes to
 * the broker again, where whoever has settled it answers so; what the broker loses is the sweep's. Returns the outbox rows to
 * be relayed; none for a row that is not quarantined, which is left as it is: a redrive twice is one effect.
 */
export async function redrive(
  db: Db,
  consumer: Consumer,
  outboxId: string,
  { producer, by }: { readonly producer: string; readonly by: string },
): Promise<readonly string[]> {
  const written = await transaction(db, async (tx) => {
    const row = await tx
      .updateTable('deliveries')
      .set({ state: 'pending', due_at: sql`now()`, attempts: 0, outcome: null, error: null, settled_at: null })
      .where('outbox_id', '=', outboxId)
      .where('consumer', '=', consumer)
      .where('state', '=', 'quarantined')
      .returning('outbox_id')
      .executeTakeFirst()
    if (row === undefined) return []
    await tx
      .updateTable('outbox')
      .set({ sent_at: null, due_at: sql`now()` })
      .where('id', '=', outboxId)
      .execute()
    const said = await emit(tx, producer, {
      type: EVENT_TYPES.deliveryRedriven,
      subject: `deliveries/${outboxId}/${consumer}`,
      extensions: { consumer },
      data: { outbox: outboxId, consumer, by },
      rows: {},
    })
    crashPoint('redrive.before-commit')
    return [outboxId, said]
  })
  crashPoint('redrive.after-commit')
  return written
}
