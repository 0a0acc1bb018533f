import { sql } from 'kysely'
import { RetryLater } from '#shared/errors.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import type { Writer } from '#shared/outbox/deliver.ts'
import { expireApproval } from '#shared/run/approval.ts'
import { runEvent } from '#shared/run/run-event.ts'
import { endRun, lockRun } from '#shared/run/transition.ts'
import type { RefusalCode } from '#shared/workflow/refusals.ts'
import type { Approval, Command, JudgeDeps } from './judge.ts'

/** One decision, the approval it changes and what follows for the run: one transaction under the subject's lock. */
export const record: JudgeDeps['record'] = async (writer, approval, command, verdict) => {
  const { tx, emit } = writer
  const run = await lockRun(tx, approval.run.id)
  if (verdict === 'overdue') {
    if (!(await expireApproval(writer, run.id))) throw moved()
    const decisions = [await insertDecision(writer, approval, command, { refusal: 'expired', state: 'expired' })]
    return emit(runEvent(EVENT_TYPES.decisionRecorded, run, { rows: { decisions } }))
  }
  if (verdict.kind === 'refused') {
    const { state } = approval
    const decisions = [await insertDecision(writer, approval, command, { refusal: verdict.refusal, state })]
    return emit(runEvent(EVENT_TYPES.decisionRecorded, run, { rows: { decisions } }))
  }

  const state = verdict.kind === 'outdated' ? 'stale' : verdict.kind
  const approvals = [await change(writer, approval, state)]
  const counted = verdict.kind === 'approved' || verdict.kind === 'pending' ? verdict.approvals : 0
  const refusal = verdict.kind === 'outdated' ? 'stale' : null
  const decisions = [await insertDecision(writer, approval, command, { refusal, state, approvals: counted })]
  switch (verdict.kind) {
    case 'pending':
      return emit(runEvent(EVENT_TYPES.decisionRecorded, run, { rows: { approvals, decisions } }))
    case 'approved': {
      const queued = await tx
        .updateTable('runs')
        .set({ state: 'queued', updated_at: sql`now()`, version: sql`version + 1` })
        .where('id', '=', run.id)
        .where('state', '=', 'waiting_approval')
        .returningAll()
        .executeTakeFirst()
      if (queued === undefined) throw moved()
      return emit(runEvent(EVENT_TYPES.stageApproved, queued, { rows: { approvals, decisions, runs: [queued] } }))
    }
    case 'denied': {
      await emit(runEvent(EVENT_TYPES.stageDenied, run, { rows: { approvals, decisions }, reason: 'approval_denied' }))
      const detail = command.reason ?? undefined
      const end = { state: 'cancelled', type: EVENT_TYPES.runCancelled, reason: 'approval_denied' } as const
      return endRun(writer, run.id, { ...end, ...(detail !== undefined && { detail }) })
    }
    case 'outdated':
      await emit(runEvent(EVENT_TYPES.decisionRecorded, run, { rows: { approvals, decisions } }))
      return endRun(writer, run.id, { state: 'cancelled', type: EVENT_TYPES.runCancelled, reason: verdict.reason })
  }
}

/** Of all decisions at once, one finds the approval pending, in time, as it was seen, and for what the run holds. */
async function change({ tx }: Writer, seen: Approval, state: 'pending' | 'approved' | 'denied' | 'stale') {
  const row = await tx
    .updateTable('approvals')
    .set({ state, version: sql`version + 1`, decided_at: state === 'pending' ? null : sql`now()` })
    .where('id', '=', seen.id)
    .where('state', '=', 'pending')
    .where('version', '=', seen.version)
    .where('expires_at', '>', sql<Date>`now()`)
    .where('bundle_digest', '=', sql<string>`(select bundle_digest from runs where runs.id = approvals.run_id)`)
    .returningAll()
    .executeTakeFirst()
  if (row === undefined) throw moved()
  return row
}

async function insertDecision(
  { tx }: Writer,
  { id }: Approval,
  { key, source, decision, label, reason, actor, digestOf }: Command & { readonly digestOf: string },
  { refusal, state, approvals = 0 }: { refusal: RefusalCode | null; state: string; approvals?: number },
) {
  const row = await tx
    .insertInto('decisions')
    .values({
      key,
      approval_id: id,
      actor_id: actor.id,
      actor_login: actor.login,
      decision,
      reason,
      source,
      label: label?.name ?? null,
      command: digestOf,
      refusal,
      state,
      approvals,
    })
    .onConflict((conflict) => conflict.column('key').doNothing())
    .returningAll()
    .executeTakeFirst()
  if (row === undefined) throw moved()
  return row
}

/** The look before this was at a world that is no more: look again. */
const moved = () => new RetryLater('the approval moved on', { seconds: 0 })
