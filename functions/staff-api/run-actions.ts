import { sql } from 'kysely'
import { crashPoint } from '#shared/crash-point.ts'
import type { Db } from '#shared/db/connect.ts'
import { ACTIVE_STATES, type Row } from '#shared/db/schema.ts'
import type { Tx } from '#shared/db/transaction.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import { writeAs, type Writer } from '#shared/outbox/deliver.ts'
import { retryKey } from '#shared/run/retry.ts'
import { runEvent } from '#shared/run/run-event.ts'
import { endRun, isActive, lockRun } from '#shared/run/transition.ts'
import { currentTrace } from '#shared/telemetry/trace.ts'
import { opens } from '#shared/workflow/gate.ts'
import { decideCancel, decideRetry } from './decide.ts'
import { recordAct } from './handler.ts'
import type { Caller } from './token-review.ts'

/** Cancels a run as a label that was taken off would: who works for it hears of it by the same event. */
export async function cancelRun(db: Db, caller: Caller, runId: string, reason: string | undefined) {
  const { result: verdict, written } = await writeAs(db, 'staff-api', async (writer) => {
    const run = await lockRun(writer.tx, runId)
    const decided = decideCancel(run.state, isActive(run.state))
    if (decided !== 'cancel') return decided
    await endRun(writer, runId, {
      state: 'cancelled',
      type: EVENT_TYPES.runCancelled,
      reason: 'cancelled_by_staff',
      // Said where everybody reads it, so without the name.
      ...(reason !== undefined && reason !== '' && { detail: reason }),
    })
    await recordAct(writer, caller, { action: 'run.cancelled', subject: `runs/${runId}`, project: run.project_id })
    crashPoint('staff.before-cancel-commit')
    return decided
  })
  crashPoint('staff.after-cancel-commit')
  return { verdict, written }
}

/**
 * Another run with the same input for one that failed. Its key follows from the run that it repeats, so however often it is
 * asked for there is one. It was judged long ago, as far as the dispatcher knows: the router looks at the requester and the
 * issue before it starts; and with a gate it waits for an approval of its own.
 */
export async function retryRun(db: Db, caller: Caller, runId: string) {
  const { result, written } = await writeAs(db, 'staff-api', async (writer) => {
    const { tx } = writer
    const failed = await lockRun(tx, runId)
    const before = await others(tx, failed).where('label_event_id', '=', retryKey(failed.id)).executeTakeFirst()
    if (before !== undefined) return { verdict: 'before' as const, run: before.id }
    const verdict = await judge(tx, failed)
    if (verdict !== 'retry') return { verdict, run: undefined }
    const run = await repeat(writer, failed)
    const subject = `runs/${failed.id}`
    await recordAct(writer, caller, {
      action: 'run.retried',
      subject,
      project: failed.project_id,
      more: { run: run.id },
    })
    crashPoint('staff.before-retry-commit')
    return { verdict, run: run.id }
  })
  crashPoint('staff.after-retry-commit')
  return { ...result, written }
}

/** Runs of the same subject. */
function others(tx: Tx, { project_id, subject_id }: Row<'runs'>) {
  return tx
    .selectFrom('runs')
    .select('id')
    .where('project_id', '=', project_id)
    .where('subject_id', '=', subject_id)
    .limit(1)
}

async function judge(tx: Tx, failed: Row<'runs'>) {
  const same = () => others(tx, failed).where('stage', '=', failed.stage)
  const [newer, active, project] = [
    await same()
      .where('created_at', '>', failed.created_at)
      .where('state', '!=', 'refused')
      .where('id', '!=', failed.id)
      .executeTakeFirst(),
    await same().where('state', 'in', ACTIVE_STATES).executeTakeFirst(),
    await tx.selectFrom('projects').select('state').where('id', '=', failed.project_id).executeTakeFirstOrThrow(),
  ]
  return decideRetry({
    state: failed.state,
    reason: failed.reason,
    connected: project.state === 'connected',
    newer: newer !== undefined,
    active: active !== undefined,
  })
}

async function repeat({ tx, emit }: Writer, failed: Row<'runs'>): Promise<Row<'runs'>> {
  const { manifest } = await tx
    .selectFrom('bundles')
    .select('manifest')
    .where('digest', '=', failed.bundle_digest)
    .executeTakeFirstOrThrow()
  const start = opens(manifest.gate)
    ? ({ state: 'queued', type: EVENT_TYPES.stageApproved } as const)
    : ({ state: 'waiting_approval', type: EVENT_TYPES.stageRequested } as const)
  const { project_id, provider, instance, repository_id, subject_id, subject_number, label, stage } = failed
  const { requester_id, requester_login, requested_at, bundle_digest, change_id } = failed
  const run = await tx
    .insertInto('runs')
    .values({
      project_id,
      provider,
      instance,
      repository_id,
      subject_id,
      subject_number,
      label,
      stage,
      requester_id,
      requester_login,
      // Of the request that it repeats: a later one takes its place.
      requested_at,
      bundle_digest,
      change_id,
      label_event_id: retryKey(failed.id),
      judged_at: sql`now() - interval '1 day'`,
      traceparent: currentTrace() ?? null,
      state: start.state,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  const links = await tx
    .insertInto('links')
    .values([
      { from_kind: 'run', from_id: failed.id, relation: 'retried as', to_kind: 'run', to_id: run.id },
      { from_kind: 'issue', from_id: subject_id, relation: 'asked for', to_kind: 'run', to_id: run.id },
      { from_kind: 'run', from_id: run.id, relation: 'works on', to_kind: 'change', to_id: change_id ?? '' },
    ])
    .returningAll()
    .execute()
  await emit(runEvent(start.type, run, { rows: { runs: [run], links } }))
  return run
}
