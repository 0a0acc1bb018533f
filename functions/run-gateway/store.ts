import { sql } from 'kysely'
import { crashPoint } from '#shared/crash-point.ts'
import type { Db } from '#shared/db/connect.ts'
import { transaction } from '#shared/db/transaction.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import type { Manifest } from '#shared/job/bundle.ts'
import type { Relay } from '#shared/outbox/relay.ts'
import { emit } from '#shared/outbox/write.ts'
import { runEvent } from '#shared/run/run-event.ts'
import { attemptOf, closedBy, seen } from './attempt.ts'
import type { Deps } from './handler.ts'
import { acceptResult } from './result.ts'

/** All blobs of one attempt, bytes; the stage's own cap is the publisher's. */
const MAX_UPLOAD_BYTES = 256 * 1024 * 1024

/** Seconds between two `run.progressed` events of one attempt; the lines in between are stored all the same. */
const PROGRESS_SECONDS = 10

/** The gateway's part of the database. */
export function store(db: Db, relay: Relay): Deps {
  return {
    async attempt(ref) {
      const row = await attemptOf(db, ref)
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
      const { outcome, event } = await transaction(db, (tx) => acceptResult(tx, ref, result))
      crashPoint('run-gateway.after-result-commit')
      await relay.after(event === undefined ? [] : [event])
      return outcome
    },
  }

  function manifestOf(digest: string): Promise<{ manifest: Manifest }> {
    return db.selectFrom('bundles').select('manifest').where('digest', '=', digest).executeTakeFirstOrThrow()
  }
}

/** The blobs that a bundle names: all that its agent may read. */
function inputBlobs({ instructions, content, outputSchema, revise }: Manifest): readonly string[] {
  const own = revise === undefined ? [] : [revise.review, ...(revise.session === null ? [] : [revise.session])]
  return [instructions, content, outputSchema, ...own]
}
