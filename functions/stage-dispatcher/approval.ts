import { sql } from 'kysely'
import type { Row } from '#shared/db/schema.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import type { Writer } from '#shared/outbox/deliver.ts'
import { expireApproval } from '#shared/run/approval.ts'
import { runEvent } from '#shared/run/run-event.ts'
import { endRun } from '#shared/run/transition.ts'

/**
 * Uses up the approval of a run with a gate, in the transaction that starts it: approved, for exactly the run's bundle, not
 * used, not run out. Without one the run is cancelled and nothing starts. A further attempt of a run goes on under the
 * approval that its first one used: nothing that a person approved has changed.
 */
export async function consumeApproval(writer: Writer, run: Row<'runs'>): Promise<boolean> {
  const { tx, emit } = writer
  if (await expireApproval(writer, run.id)) return false
  const approval = await tx
    .updateTable('approvals')
    .set({ consumed_at: sql`now()`, version: sql`version + 1` })
    .where('run_id', '=', run.id)
    .where('bundle_digest', '=', run.bundle_digest)
    .where('state', '=', 'approved')
    .where('consumed_at', 'is', null)
    .returningAll()
    .executeTakeFirst()
  if (approval !== undefined) {
    await emit(runEvent(EVENT_TYPES.approvalConsumed, run, { rows: { approvals: [approval] } }))
    return true
  }
  const started = await tx
    .selectFrom('approvals')
    .innerJoin('attempts', 'attempts.run_id', 'approvals.run_id')
    .select('approvals.id')
    .where('approvals.run_id', '=', run.id)
    .where('approvals.bundle_digest', '=', run.bundle_digest)
    .where('approvals.consumed_at', 'is not', null)
    .executeTakeFirst()
  if (started !== undefined) return true
  await endRun(writer, run.id, { state: 'cancelled', type: EVENT_TYPES.runCancelled, reason: 'approval_missing' })
  return false
}
