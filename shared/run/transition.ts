import { sql } from 'kysely'
import { ACTIVE_STATES, type Row } from '#shared/db/schema.ts'
import type { Tx } from '#shared/db/transaction.ts'
import type { PlatformType } from '#shared/events/types.ts'
import type { Writer } from '#shared/outbox/deliver.ts'
import type { ChangedRows } from '#shared/outbox/write.ts'
import { runEvent } from '#shared/run/run-event.ts'
import type { ReasonCode } from '#shared/workflow/reasons.ts'

/** A run under the lock of its subject, as it is now: what a transition is decided on. */
export async function lockRun(tx: Tx, runId: string): Promise<Row<'runs'>> {
  await tx
    .selectFrom('subjects')
    .innerJoin('runs', (join) =>
      join.onRef('runs.project_id', '=', 'subjects.project_id').onRef('runs.subject_id', '=', 'subjects.id'),
    )
    .select('subjects.id')
    .where('runs.id', '=', runId)
    .forUpdate('subjects')
    .executeTakeFirstOrThrow()
  return tx.selectFrom('runs').selectAll().where('id', '=', runId).executeTakeFirstOrThrow()
}

/** Whether a run is not over. */
export const isActive = (state: string): boolean => (ACTIVE_STATES as readonly string[]).includes(state)

/** How a run ends. */
export interface End {
  readonly state: 'succeeded' | 'failed' | 'cancelled'
  readonly type: PlatformType
  readonly reason?: ReasonCode
  /** For a person; at most 500 characters are kept. */
  readonly detail?: string
  readonly rows?: ChangedRows
}

/**
 * Ends a run that is active, with its open attempts, and says so. A run that is over stays as it is. The Job is
 * stopped by the dispatcher, which hears of it.
 */
export async function endRun(
  { tx, emit }: Writer,
  runId: string,
  { state, type, reason, detail, rows }: End,
): Promise<void> {
  const now = await lockRun(tx, runId)
  if (!isActive(now.state)) return
  const run = await tx
    .updateTable('runs')
    .set({
      state,
      reason: reason ?? null,
      detail: detail?.slice(0, 500) ?? null,
      updated_at: sql`now()`,
      version: sql`version + 1`,
    })
    .where('id', '=', runId)
    .returningAll()
    .executeTakeFirstOrThrow()
  const attempts = await tx
    .updateTable('attempts')
    .set({ state: 'stopped', reason: reason ?? null, finished_at: sql`now()` })
    .where('run_id', '=', runId)
    .where('state', 'in', ['intended', 'created'])
    .returningAll()
    .execute()
  // Nobody can approve what will not run any more.
  const approvals = await tx
    .updateTable('approvals')
    .set({ state: 'withdrawn', decided_at: sql`now()`, version: sql`version + 1` })
    .where('run_id', '=', runId)
    .where('state', '=', 'pending')
    .returningAll()
    .execute()
  await emit(
    runEvent(type, run, {
      rows: { ...rows, runs: [run], attempts, ...(approvals.length > 0 && { approvals }) },
      ...(reason !== undefined && { reason }),
    }),
  )
}
