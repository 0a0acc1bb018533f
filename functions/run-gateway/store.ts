import { sql } from 'kysely'
import { crashPoint } from '#shared/crash-point.ts'
import type { Db } from '#shared/db/connect.ts'
import { transaction } from '#shared/db/transaction.ts'
import { canonicalJson, sha256 } from '#shared/digest.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import type { Manifest } from '#shared/job/bundle.ts'
import type { ResultManifest } from '#shared/job/result.ts'
import type { AttemptRef } from '#shared/job/token.ts'
import type { Relay } from '#shared/outbox/relay.ts'
import { emit } from '#shared/outbox/write.ts'
import { lockRun } from '#shared/run/transition.ts'
import { runEvent } from '#shared/run/run-event.ts'
import type { Closed, Deps } from './handler.ts'

/** All blobs of one attempt, bytes; the stage's own cap is the publisher's. */
const MAX_UPLOAD_BYTES = 256 * 1024 * 1024

/** Seconds between two `run.progressed` events of one attempt; the lines in between are stored all the same. */
const PROGRESS_SECONDS = 10

/** The gateway's part of the database. */
export function store(db: Db, relay: Relay): Deps {
  return {
    async attempt(ref) {
      const row = await state(ref)
      if (row === undefined) return 'attempt_closed'
      const closed = closedBy(row)
      return closed ?? { ...ref, project: row.project_id, bundleDigest: row.bundle_digest ?? '' }
    },

    async input({ run, attempt, bundleDigest }) {
      const { manifest } = await manifestOf(bundleDigest)
      // From here on it is known that the Job existed, whatever becomes of the dispatcher that has just created it.
      await seen(db, run, attempt)
      return { run, attempt, digest: bundleDigest, manifest }
    },

    async inputBlob({ bundleDigest }, digest) {
      const { manifest } = await manifestOf(bundleDigest)
      if (!inputBlobs(manifest).includes(digest)) return undefined
      return (await db.selectFrom('blobs').select('bytes').where('digest', '=', digest).executeTakeFirst())?.bytes
    },

    async saveBlob({ run, attempt }, digest, bytes) {
      return transaction(db, async (tx) => {
        // First, because it locks the attempt: uploads side by side are counted one after the other.
        await seen(tx, run, attempt)
        const { total } = await tx
          .selectFrom('uploads')
          .innerJoin('blobs', 'blobs.digest', 'uploads.digest')
          .select(sql<number>`coalesce(sum(length(bytes)), 0)::bigint`.as('total'))
          .where('run_id', '=', run)
          .where('attempt', '=', attempt)
          .where('uploads.digest', '!=', digest)
          .executeTakeFirstOrThrow()
        if (total + bytes.length > MAX_UPLOAD_BYTES) return 'full'
        await tx
          .insertInto('blobs')
          .values({ digest, bytes })
          .onConflict((conflict) => conflict.doNothing())
          .execute()
        await tx
          .insertInto('uploads')
          .values({ run_id: run, attempt, digest })
          .onConflict((conflict) => conflict.doNothing())
          .execute()
        return 'saved'
      })
    },

    saveHeartbeat: ({ run, attempt }) => seen(db, run, attempt),

    async saveProgress({ run: runId, attempt }, { sequence, kind, text }) {
      const written = await transaction(db, async (tx) => {
        const added = await tx
          .insertInto('progress')
          .values({ run_id: runId, attempt, sequence, kind, text })
          .onConflict((conflict) => conflict.doNothing())
          .returningAll()
          .executeTakeFirst()
        if (added === undefined) return []
        const due = await tx
          .updateTable('attempts')
          .set({ last_seen_at: sql`now()`, progressed_at: sql`now()` })
          .where('run_id', '=', runId)
          .where('attempt', '=', attempt)
          .where((when) =>
            when.or([
              when('progressed_at', 'is', null),
              when('progressed_at', '<', sql<Date>`now() - make_interval(secs => ${PROGRESS_SECONDS})`),
            ]),
          )
          .returning('attempt')
          .executeTakeFirst()
        const run = await tx.selectFrom('runs').selectAll().where('id', '=', runId).executeTakeFirstOrThrow()
        const type = due === undefined ? EVENT_TYPES.progressRecorded : EVENT_TYPES.runProgressed
        return [await emit(tx, 'run-gateway', runEvent(type, run, { rows: { progress: [added] }, attempt }))]
      })
      await relay.after(written)
    },

    async saveResult(ref, result) {
      const written: string[] = []
      const outcome = await transaction(db, async (tx) => {
        written.length = 0
        const run = await lockRun(tx, ref.run)
        const row = await state(ref, tx)
        const manifest = canonicalJson(result)
        const digest = sha256(manifest)
        if (row === undefined) return 'attempt_closed'
        if (row.state === 'finished') return row.result_digest === digest ? 'repeated' : 'conflict'
        const closed = closedBy(row)
        if (closed !== undefined) return closed
        const wanted = blobsOf(result)
        const uploaded = await tx
          .selectFrom('uploads')
          .select('digest')
          .where('run_id', '=', ref.run)
          .where('attempt', '=', ref.attempt)
          .execute()
        const have = new Set(uploaded.map((upload) => upload.digest))
        if (wanted.some((blob) => !have.has(blob))) return 'unknown_blob'
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
        written.push(
          await emit(
            tx,
            'run-gateway',
            runEvent(failed ? EVENT_TYPES.runFailed : EVENT_TYPES.runFinished, next, about),
          ),
        )
        crashPoint('run-gateway.before-result-commit')
        return 'accepted'
      })
      crashPoint('run-gateway.after-result-commit')
      await relay.after(written)
      return outcome
    },
  }

  async function seen(on: Db, run: string, attempt: number): Promise<void> {
    await on
      .updateTable('attempts')
      .set({ last_seen_at: sql`now()` })
      .where('run_id', '=', run)
      .where('attempt', '=', attempt)
      .execute()
  }

  function manifestOf(digest: string): Promise<{ manifest: Manifest }> {
    return db.selectFrom('bundles').select('manifest').where('digest', '=', digest).executeTakeFirstOrThrow()
  }

  /** The attempt with what decides whether it may speak. Nothing for a token whose fence is not the row's. */
  function state({ run, attempt, fence }: AttemptRef, on: Db = db) {
    return on
      .selectFrom('attempts')
      .innerJoin('runs', 'runs.id', 'attempts.run_id')
      .select([
        'attempts.state',
        'attempts.result_digest',
        'runs.state as run_state',
        'runs.project_id',
        'runs.bundle_digest',
        sql<boolean>`attempts.deadline_at <= now()`.as('late'),
        sql<boolean>`exists (select from attempts newer where newer.run_id = runs.id and newer.fence > attempts.fence)`.as(
          'fenced',
        ),
      ])
      .where('attempts.run_id', '=', run)
      .where('attempts.attempt', '=', attempt)
      .where('attempts.fence', '=', fence)
      .executeTakeFirst()
  }
}

function closedBy(row: { state: string; run_state: string; late: boolean; fenced: boolean }): Closed | undefined {
  if (row.fenced) return 'fenced'
  if (!['starting', 'running'].includes(row.run_state)) return 'run_over'
  if (row.state !== 'intended' && row.state !== 'created') return 'attempt_closed'
  return row.late ? 'deadline_exceeded' : undefined
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

/** The blobs that a bundle names: all that its agent may read. */
function inputBlobs({ instructions, content, outputSchema, revise }: Manifest): readonly string[] {
  const own = revise === undefined ? [] : [revise.review, ...(revise.session === null ? [] : [revise.session])]
  return [instructions, content, outputSchema, ...own]
}
