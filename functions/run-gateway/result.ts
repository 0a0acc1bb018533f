import { sql } from 'kysely'
import { crashPoint } from '#shared/crash-point.ts'
import type { Tx } from '#shared/db/transaction.ts'
import { canonicalJson, sha256 } from '#shared/digest.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import type { ResultManifest } from '#shared/job/result.ts'
import type { AttemptRef } from '#shared/job/token.ts'
import { emit } from '#shared/outbox/write.ts'
import { lockRun } from '#shared/run/transition.ts'
import { runEvent } from '#shared/run/run-event.ts'
import { attemptOf, closedBy } from './attempt.ts'
import type { ResultOutcome } from './handler.ts'

/** The one end of an attempt, under the subject's lock: the result and what the run becomes by it, or why it is not taken. */
export async function acceptResult(
  tx: Tx,
  ref: AttemptRef,
  result: ResultManifest,
): Promise<{ readonly outcome: ResultOutcome; readonly event?: string }> {
  const run = await lockRun(tx, ref.run)
  const row = await attemptOf(tx, ref)
  const manifest = canonicalJson(result)
  const digest = sha256(manifest)
  if (row === undefined) return { outcome: 'attempt_closed' }
  if (row.state === 'finished') return { outcome: row.result_digest === digest ? 'repeated' : 'conflict' }
  const closed = closedBy(row)
  if (closed !== undefined) return { outcome: closed }
  const wanted = blobsOf(result)
  const uploaded = await tx
    .selectFrom('uploads')
    .select('digest')
    .where('run_id', '=', ref.run)
    .where('attempt', '=', ref.attempt)
    .execute()
  const have = new Set(uploaded.map((upload) => upload.digest))
  if (wanted.some((blob) => !have.has(blob))) return { outcome: 'unknown_blob' }
  await tx
    .insertInto('blobs')
    .values({ digest, bytes: Buffer.from(manifest) })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  const attempt = await tx
    .updateTable('attempts')
    .set({
      state: 'finished',
      result_digest: digest,
      finished_at: sql`now()`,
      last_seen_at: sql`now()`,
    })
    .where('run_id', '=', ref.run)
    .where('attempt', '=', ref.attempt)
    .returningAll()
    .executeTakeFirstOrThrow()
  const failed = result.outcome === 'failed'
  const next = await tx
    .updateTable('runs')
    .set({
      state: failed ? 'failed' : 'publishing',
      reason: failed ? result.reason : null,
      detail: failed ? result.detail : null,
      updated_at: sql`now()`,
      version: sql`version + 1`,
    })
    .where('id', '=', run.id)
    .returningAll()
    .executeTakeFirstOrThrow()
  const about = {
    rows: { runs: [next], attempts: [attempt] },
    attempt: ref.attempt,
    ...(failed && { reason: result.reason }),
  }
  const type = failed ? EVENT_TYPES.runFailed : EVENT_TYPES.runFinished
  const event = await emit(tx, 'run-gateway', runEvent(type, next, about))
  crashPoint('run-gateway.before-result-commit')
  return { outcome: 'accepted', event }
}

function blobsOf(result: ResultManifest): string[] {
  const named =
    result.outcome === 'succeeded'
      ? [
          ...result.changes.flatMap((change) => (change.kind === 'write' ? [change.blob] : [])),
          result.session,
          result.log,
        ]
      : [result.log]
  return named.filter((digest): digest is string => digest !== null)
}
