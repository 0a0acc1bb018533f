import { sql } from 'kysely'
import type { Db } from '#shared/db/connect.ts'
import { PermanentError, RetryLater } from '#shared/errors.ts'
import type { Consumer } from '#shared/events/subscriptions.ts'
import { deliver, quarantine, type Delivery, type Handler } from '#shared/outbox/deliver.ts'

/** Tries of one delivery by sweeps before it is quarantined; with delays that double to an hour about a day. */
const MAX_ATTEMPTS = 30

/**
 * The consumer's pending rows that are overdue, handled here and now: whatever the broker lost comes through this door.
 * Each is put off before it is tried, so that one that fails, or kills the process, does not hold up the ones behind it.
 */
export async function deliverOverdue(
  db: Db,
  consumer: Consumer,
  handle: Handler,
  graceSeconds: number,
  deadline: AbortSignal,
): Promise<Delivery[]> {
  const rows = await db
    .selectFrom('deliveries')
    .select('outbox_id')
    .where('consumer', '=', consumer)
    .where('state', '=', 'pending')
    .where('due_at', '<=', sql<Date>`now() - make_interval(secs => ${graceSeconds})`)
    .orderBy('due_at')
    .limit(500)
    .execute()
  const delivered: Delivery[] = []
  for (const { outbox_id: id } of rows) {
    if (deadline.aborted) break
    const attempts = await countTry(db, consumer, id)
    if (attempts === undefined) continue
    try {
      delivered.push(await deliver(db, consumer, id, handle))
    } catch (error) {
      const { message } = error as Error
      if (error instanceof PermanentError || attempts > MAX_ATTEMPTS)
        await quarantine(db, consumer, id, message, { message })
      else if (error instanceof RetryLater) await notBefore(db, consumer, id, error.seconds)
    }
  }
  return delivered
}

/** One more try: the next one is due after a delay that doubles to an hour. Undefined for a row that is settled. */
async function countTry(db: Db, consumer: Consumer, outboxId: string): Promise<number | undefined> {
  const row = await db
    .updateTable('deliveries')
    .set({
      attempts: sql`attempts + 1`,
      due_at: sql`now() + make_interval(secs => least(3600, 2 ^ least(attempts, 12))::int)`,
    })
    .where('outbox_id', '=', outboxId)
    .where('consumer', '=', consumer)
    .where('state', '=', 'pending')
    .returning('attempts')
    .executeTakeFirst()
  return row?.attempts
}

async function notBefore(db: Db, consumer: Consumer, outboxId: string, seconds: number): Promise<void> {
  await db
    .updateTable('deliveries')
    .set({ due_at: sql`greatest(due_at, now() + make_interval(secs => ${seconds}::int))` })
    .where('outbox_id', '=', outboxId)
    .where('consumer', '=', consumer)
    .where('state', '=', 'pending')
    .execute()
}
