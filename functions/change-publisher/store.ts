import { sql } from 'kysely'
import type { Db } from '#shared/db/connect.ts'
import { transaction } from '#shared/db/transaction.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import type { ResultManifest } from '#shared/job/result.ts'
import { emit } from '#shared/outbox/write.ts'
import { runEvent } from '#shared/run/run-event.ts'
import { endRun, lockRun } from '#shared/run/transition.ts'
import type { Deps, Finished } from './handler.ts'

/** The publisher's part of the database. */
export function store(db: Db): Pick<Deps, 'finished' | 'intend' | 'published' | 'rejected'> {
  return {
    async finished(runId) {
      const run = await db
        .selectFrom('runs')
        .selectAll()
        .where('id', '=', runId)
        .where('state', '=', 'publishing')
        .executeTakeFirst()
      if (run === undefined || run.change_id === null || run.bundle_digest === null) return undefined
      const [project, change, { manifest }, attempt] = await Promise.all([
        db.selectFrom('projects').selectAll().where('id', '=', run.project_id).executeTakeFirstOrThrow(),
        db.selectFrom('changes').selectAll().where('id', '=', run.change_id).executeTakeFirstOrThrow(),
        db.selectFrom('bundles').select('manifest').where('digest', '=', run.bundle_digest).executeTakeFirstOrThrow(),
        // The newest attempt and no other: an older one is fenced off.
        db
          .selectFrom('attempts')
          .selectAll()
          .where('run_id', '=', runId)
          .orderBy('fence', 'desc')
          .limit(1)
          .executeTakeFirstOrThrow(),
      ])
      if (attempt.result_digest === null) return undefined
      const manifestBlob = await db
        .selectFrom('blobs')
        .select('bytes')
        .where('digest', '=', attempt.result_digest)
        .executeTakeFirstOrThrow()
      const result = JSON.parse(manifestBlob.bytes.toString('utf8')) as ResultManifest
      if (result.outcome !== 'succeeded') return undefined
      const blobs = await db
        .selectFrom('uploads')
        .innerJoin('blobs', 'blobs.digest', 'uploads.digest')
        .select(['blobs.digest', 'blobs.bytes'])
        .where('run_id', '=', runId)
        .where('attempt', '=', attempt.attempt)
        .execute()
      return {
        run,
        project,
        change,
        manifest,
        attempt: attempt.attempt,
        result,
        blobs: new Map(blobs.map(({ digest, bytes }) => [digest, bytes])),
      }
    },

    intend: (finished) =>
      transaction(db, async (tx) => {
        const { run } = finished
        const now = await lockRun(tx, run.id)
        if (now.version !== run.version) return undefined
        const intent = await tx
          .insertInto('intents')
          .values({ kind: 'pull_request', name: intentName(finished), run_id: run.id })
          .onConflict((conflict) => conflict.columns(['kind', 'name']).doNothing())
          .returningAll()
          .executeTakeFirst()
        if (intent === undefined) return []
        return [
          await emit(
            tx,
            'change-publisher',
            runEvent(EVENT_TYPES.intentRecorded, now, { rows: { intents: [intent] } }),
          ),
        ]
      }),

    async published(writer, finished, { commit, number, url }) {
      const { tx } = writer
      const { run } = finished
      const now = await lockRun(tx, run.id)
      const change = await tx
        .updateTable('changes')
        .set({
          head_commit: commit,
          pull_number: number,
          pull_url: url,
          updated_at: sql`now()`,
          version: sql`version + 1`,
        })
        .where('id', '=', finished.change.id)
        .returningAll()
        .executeTakeFirstOrThrow()
      const intents = await tx
        .updateTable('intents')
        .set({ state: 'done', external_id: String(number), settled_at: sql`now()` })
        .where('kind', '=', 'pull_request')
        .where('name', '=', intentName(finished))
        .returningAll()
        .execute()
      const links = await tx
        .insertInto('links')
        .values({
          from_kind: 'change',
          from_id: change.id,
          relation: 'published as',
          to_kind: 'pull_request',
          to_id: `${now.repository_id}#${number}`,
        })
        .onConflict((conflict) => conflict.doNothing())
        .returningAll()
        .execute()
      const rows = { changes: [change], intents, links }
      if (now.state === 'publishing')
        return endRun(writer, run.id, { state: 'succeeded', type: EVENT_TYPES.changePublished, rows })
      // Cancelled while it was being published: the pull request is there all the same.
      return writer.emit(runEvent(EVENT_TYPES.intentSettled, now, { rows }))
    },

    rejected: (writer, { run }, reason, detail) =>
      endRun(writer, run.id, {
        state: reason === 'actor_revoked' ? 'cancelled' : 'failed',
        type: EVENT_TYPES.changeRejected,
        reason,
        ...(detail !== undefined && { detail }),
      }),
  }
}

const intentName = ({ run, change }: Finished) => `${run.project_id}/${change.branch}`
