import { sql } from 'kysely'
import type { Db } from '#shared/db/connect.ts'
import { RetryLater } from '#shared/errors.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import { lockRun } from '#shared/run/transition.ts'
import { runEvent } from '#shared/run/run-event.ts'
import type { Deps } from './handler.ts'

/** The gate's part of the database. */
export function store(db: Db): Deps {
  return {
    async waiting(runId) {
      const run = await db.selectFrom('runs').selectAll().where('id', '=', runId).executeTakeFirst()
      if (run === undefined || run.bundle_digest === null) return undefined
      const { manifest } = await db
        .selectFrom('bundles')
        .select('manifest')
        .where('digest', '=', run.bundle_digest)
        .executeTakeFirstOrThrow()
      return { run, gate: manifest.gate }
    },

    async approve({ tx, emit }, { run: seen }) {
      const now = await lockRun(tx, seen.id)
      if (now.version !== seen.version) throw new RetryLater('the run moved on', { seconds: 0 })
      const run = await tx
        .updateTable('runs')
        .set({ state: 'queued', updated_at: sql`now()`, version: sql`version + 1` })
        .where('id', '=', seen.id)
        .returningAll()
        .executeTakeFirstOrThrow()
      await emit(runEvent(EVENT_TYPES.stageApproved, run, { rows: { runs: [run] } }))
    },

    async request({ tx, emit }, { run }, gate) {
      const approval = await tx
        .insertInto('approvals')
        .values({
          run_id: run.id,
          bundle_digest: sql`(select bundle_digest from runs where id = ${run.id})`,
          policy: JSON.stringify(gate),
          expires_at: sql`now() + make_interval(secs => ${gate.expiresAfterSeconds})`,
        })
        .onConflict((conflict) => conflict.column('run_id').doNothing())
        .returningAll()
        .executeTakeFirst()
      if (approval === undefined) return
      await emit(runEvent(EVENT_TYPES.approvalRequested, run, { rows: { approvals: [approval] } }))
    },
  }
}
