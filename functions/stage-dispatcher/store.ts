import { sql } from 'kysely'
import { crashPoint } from '#shared/crash-point.ts'
import type { Db } from '#shared/db/connect.ts'
import type { Row } from '#shared/db/schema.ts'
import type { Tx } from '#shared/db/transaction.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import { writeAs, type Writer } from '#shared/outbox/deliver.ts'
import { endRun, lockRun } from '#shared/run/transition.ts'
import { runEvent } from '#shared/run/run-event.ts'
import { commitIntent, fitting, openIntents } from './capacity.ts'
import { dueAttempts } from './due.ts'
import type { Deps } from './handler.ts'
import { announcePlaces } from './queue.ts'

/** What the dispatcher is told besides where everything is. */
export interface Config {
  /** The key that run and model tokens are made with. */
  readonly tokenKey: string
  /** Where Jobs may run, the first where a project does not say; empty: the launcher has one place only. */
  readonly namespaces: readonly string[]
}

/** The dispatcher's part of the database. */
export function store(db: Db, { tokenKey, namespaces }: Config): Omit<Deps, 'launcher'> {
  const write = async (work: (writer: Writer) => Promise<void>) => (await writeAs(db, 'stage-dispatcher', work)).written

  return {
    write,

    async intend(projectId) {
      const written = await write(async (writer) => {
        for (const run of await fitting(writer.tx, projectId)) {
          if (run.fresh) await commitIntent(writer, run.id, namespaces)
          else await writer.emit(runEvent(EVENT_TYPES.stageDue, run, { rows: {} }))
        }
        await announcePlaces(writer, projectId)
        crashPoint('dispatcher.before-intent-commit')
      })
      return { intended: await openIntents(db, tokenKey, projectId), written }
    },

    async confirm({ tx, emit: say }, { run: seen, attempt: of, job }, uid) {
      const now = await lockRun(tx, seen.id)
      const intents = await tx
        .updateTable('intents')
        .set({ state: 'done', external_id: uid, settled_at: sql`now()` })
        .where('kind', '=', 'job')
        .where('name', '=', job.name)
        .returningAll()
        .execute()
      const attempt = await tx
        .updateTable('attempts')
        .set({ state: 'created', reason: null, last_seen_at: sql`now()` })
        .where('run_id', '=', seen.id)
        .where('attempt', '=', of.attempt)
        .where('state', '=', 'intended')
        .returningAll()
        .executeTakeFirst()
      // Another dispatcher confirmed it, the agent was quicker with its result, or the run was cancelled meanwhile.
      if (attempt === undefined || now.state !== 'starting') {
        const rows = { intents, attempts: attempt === undefined ? [] : [attempt] }
        return say(runEvent(EVENT_TYPES.intentSettled, now, { rows, attempt: of.attempt }))
      }
      const run = await tx
        .updateTable('runs')
        .set({ state: 'running', updated_at: sql`now()`, version: sql`version + 1` })
        .where('id', '=', seen.id)
        .returningAll()
        .executeTakeFirstOrThrow()
      await say(
        runEvent(EVENT_TYPES.runStarted, run, {
          rows: { runs: [run], attempts: [attempt], intents },
          attempt: attempt.attempt,
        }),
      )
    },

    async hold({ tx, emit: say }, { run: seen, attempt: of }, detail) {
      const run = await lockRun(tx, seen.id)
      const attempts = await tx
        .updateTable('attempts')
        .set({ reason: detail })
        .where('run_id', '=', seen.id)
        .where('attempt', '=', of.attempt)
        .where('state', '=', 'intended')
        .where('reason', 'is distinct from', detail)
        .returningAll()
        .execute()
      if (attempts.length > 0)
        await say(runEvent(EVENT_TYPES.runQueued, run, { rows: { attempts }, attempt: of.attempt }))
    },

    async disown({ tx, emit: say }, { run, job, attempt: { attempt } }) {
      const intents = await intentsGone(tx, job.name)
      await say(runEvent(EVENT_TYPES.intentSettled, run, { rows: { intents }, attempt }))
    },

    async fail(writer, seen, reason, detail) {
      if ((await lockRun(writer.tx, seen.id)).version !== seen.version) return false
      await endRun(writer, seen.id, {
        state: 'failed',
        reason,
        ...(detail !== undefined && { detail }),
        type: EVENT_TYPES.runFailed,
      })
      return true
    },

    async lose(writer, seen, again, detail) {
      const { tx } = writer
      // The result may have come in since the launcher was asked.
      if ((await lockRun(tx, seen.id)).version !== seen.version) return false
      if (!again) {
        await endRun(writer, seen.id, { state: 'failed', reason: 'agent_lost', detail, type: EVENT_TYPES.runFailed })
        return true
      }
      const attempts = await closeAttempts(tx, seen.id, 'lost', detail)
      const run = await tx
        .updateTable('runs')
        .set({ state: 'queued', ahead: null, detail, updated_at: sql`now()`, version: sql`version + 1` })
        .where('id', '=', seen.id)
        .returningAll()
        .executeTakeFirstOrThrow()
      await writer.emit(
        runEvent(EVENT_TYPES.runLost, run, {
          rows: { runs: [run], attempts },
          ...(attempts[0] && { attempt: attempts[0].attempt }),
        }),
      )
      return true
    },

    async unwanted(runId) {
      const query = db
        .selectFrom('intents')
        .innerJoin('runs', 'runs.id', 'intents.run_id')
        .innerJoin('attempts', (join) =>
          join.onRef('attempts.run_id', '=', 'intents.run_id').onRef('attempts.attempt', '=', 'intents.attempt'),
        )
        .select(['intents.name', 'intents.namespace', 'intents.run_id as run'])
        .where('intents.kind', '=', 'job')
        .where('intents.state', '!=', 'gone')
        .where((when) =>
          when.or([
            when('runs.state', 'in', ['cancelled', 'failed']),
            when('attempts.state', 'not in', ['intended', 'created']),
          ]),
        )
      return (runId === undefined ? query : query.where('runs.id', '=', runId)).execute()
    },

    markGone: (name) =>
      write(async ({ tx, emit: say }) => {
        const intents = await intentsGone(tx, name)
        for (const { run_id: id, attempt } of intents) {
          const attempts = await closeAttempts(tx, id, 'stopped', 'the run is over', attempt)
          const run = await tx.selectFrom('runs').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
          await say(runEvent(EVENT_TYPES.intentSettled, run, { rows: { intents, attempts } }))
        }
      }),

    due: (which) => dueAttempts(db, which),

    async projectsWaiting(graceSeconds) {
      const rows = await db
        .selectFrom('runs')
        .select('project_id')
        .distinct()
        .where('state', 'in', ['queued', 'starting'])
        .where('updated_at', '<=', sql<Date>`now() - make_interval(secs => ${graceSeconds})`)
        .execute()
      return rows.map(({ project_id }) => project_id)
    },
  }
}

/** The Job of this name is not there, or not ours. */
function intentsGone(tx: Tx, name: string): Promise<Row<'intents'>[]> {
  return tx
    .updateTable('intents')
    .set({ state: 'gone', settled_at: sql`now()` })
    .where('kind', '=', 'job')
    .where('name', '=', name)
    .returningAll()
    .execute()
}

async function closeAttempts(
  tx: Tx,
  runId: string,
  state: 'lost' | 'stopped',
  reason: string,
  attempt: number | null = null,
): Promise<Row<'attempts'>[]> {
  const open = tx
    .updateTable('attempts')
    .set({ state, reason, finished_at: sql`now()` })
    .where('run_id', '=', runId)
    .where('state', 'in', ['intended', 'created'])
  return (attempt === null ? open : open.where('attempt', '=', attempt)).returningAll().execute()
}
