import { sql } from 'kysely'
import { EVENT_TYPES } from '#shared/events/types.ts'
import type { Writer } from '#shared/outbox/deliver.ts'
import { runEvent } from '#shared/run/run-event.ts'
import { endRun, lockRun } from '#shared/run/transition.ts'

/** How long an approval that was given in time may wait for its run to start, beyond its expiry, seconds. */
const GRACE_SECONDS = 60

/**
 * Ends an approval that ran out, by the database's clock: asked for and not given in time, or given and not used in time.
 * The run that waited for it is cancelled. False, and nothing changed, when it has not run out.
 */
export async function expireApproval(writer: Writer, runId: string): Promise<boolean> {
  const { tx, emit } = writer
  const run = await lockRun(tx, runId)
  const approval = await tx
    .updateTable('approvals')
    .set({ state: 'expired', decided_at: sql`now()`, version: sql`version + 1` })
    .where('run_id', '=', runId)
    .where('state', 'in', ['pending', 'approved'])
    .where('consumed_at', 'is', null)
    .where(ranOut)
    .returningAll()
    .executeTakeFirst()
  if (approval === undefined) return false
  await emit(
    runEvent(EVENT_TYPES.approvalExpired, run, { rows: { approvals: [approval] }, reason: 'approval_expired' }),
  )
  await endRun(writer, runId, { state: 'cancelled', type: EVENT_TYPES.runCancelled, reason: 'approval_expired' })
  return true
}

/** Of an approval that is pending, or approved and not used: whether its time is over. */
export const ranOut = sql<boolean>`approvals.expires_at + make_interval(secs =>
  case when approvals.state = 'approved' then ${sql.lit(GRACE_SECONDS)} else 0 end) <= now()`
