import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import type { Db } from '#shared/db/connect.ts'
import { ACTIVE_STATES, type Row } from '#shared/db/schema.ts'
import { transaction, type Tx } from '#shared/db/transaction.ts'
import { EVENT_TYPES, type PlatformType } from '#shared/events/types.ts'
import { emit } from '#shared/outbox/write.ts'
import { runEvent } from '#shared/run/run-event.ts'
import type { Gate } from './decide.ts'
import type { Deps, Lease } from './handler.ts'

/** Longer than one comment takes to write, seconds. */
const LEASE_SECONDS = 60

/** At most one edit in this time while a run is not over, seconds. */
const EDIT_SECONDS = 10

/** The reporter's part of the database. */
export function store(db: Db): Omit<Deps, 'forge'> {
  return {
    async told(runId) {
      const run = await db.selectFrom('runs').selectAll().where('id', '=', runId).executeTakeFirst()
      if (run === undefined) return undefined
      const [project, change, bundle, usage, progress, ahead, working, newest, newer, gate] = await Promise.all([
        db.selectFrom('projects').selectAll().where('id', '=', run.project_id).executeTakeFirstOrThrow(),
        run.change_id === null
          ? undefined
          : db.selectFrom('changes').selectAll().where('id', '=', run.change_id).executeTakeFirst(),
        run.bundle_digest === null
          ? undefined
          : db.selectFrom('bundles').select('manifest').where('digest', '=', run.bundle_digest).executeTakeFirst(),
        db
          .selectFrom('model_calls')
          .select(sql<number>`coalesce(sum(charged_tokens), 0)::bigint`.as('tokens'))
          .where('run_id', '=', runId)
          .executeTakeFirstOrThrow(),
        db
          .selectFrom('progress')
          .select(['kind', 'text'])
          .where('run_id', '=', runId)
          .orderBy('attempt', 'desc')
          .orderBy('sequence', 'desc')
          .limit(3)
          .execute(),
        run.state === 'queued' ? queuedBefore(run) : undefined,
        run.state === 'queued' ? atWork(run.project_id) : 0,
        db
          .selectFrom('attempts')
          .select(['attempt', 'state', 'reason'])
          .where('run_id', '=', runId)
          .orderBy('attempt', 'desc')
          .limit(1)
          .executeTakeFirst(),
        db
          .selectFrom('runs')
          .select('id')
          .where('project_id', '=', run.project_id)
          .where('subject_id', '=', run.subject_id)
          .where('label', '=', run.label)
          .where('id', '!=', run.id)
          .where('state', 'in', ACTIVE_STATES)
          .executeTakeFirst(),
        gateOf(run.id),
      ])
      return {
        run,
        project,
        change,
        manifest: bundle?.manifest,
        tokens: usage.tokens,
        progress: progress.toReversed(),
        queue:
          ahead === undefined
            ? undefined
            : { ahead, active: working, maxActive: project.max_active, connected: project.state === 'connected' },
        attempt: newest?.attempt ?? 0,
        held: newest?.state === 'intended' ? newest.reason : null,
        gate,
        newerActive: newer !== undefined,
      }
    },

    async lease(runId, event) {
      const mine = randomUUID()
      const { rows } = await sql<Omit<Lease, 'id'> & { mine: boolean }>`
        insert into comments as c (run_id, wanted, lease, lease_until)
        values (${runId}, 1, ${mine}, now() + make_interval(secs => ${LEASE_SECONDS}))
        on conflict (run_id) do update set
          wanted = c.wanted + ${event ? 1 : 0},
          lease = case when c.lease_until is null or c.lease_until <= now() then excluded.lease else c.lease end,
          lease_until = case when c.lease_until is null or c.lease_until <= now() then excluded.lease_until else c.lease_until end
        returning lease = ${mine} as mine, comment_id as "commentId", shown, wanted,
          coalesce(edited_at > now() - make_interval(secs => ${EDIT_SECONDS}), false) as fresh`.execute(db)
      const row = rows[0]
      return row?.mine === true
        ? { id: mine, commentId: row.commentId, shown: row.shown, fresh: row.fresh, wanted: row.wanted, written: [] }
        : undefined
    },

    intend: (run, lease) =>
      transaction(db, async (tx) => {
        const intents = await tx
          .insertInto('intents')
          .values({ kind: 'comment', name: run.id, run_id: run.id })
          .onConflict((conflict) => conflict.columns(['kind', 'name']).doNothing())
          .returningAll()
          .execute()
        await say(tx, EVENT_TYPES.intentRecorded, run, lease, intents)
      }),

    record: (run, lease, commentId, shown, { shownAt, digest = null }) =>
      transaction(db, async (tx) => {
        await tx
          .updateTable('comments')
          .set({
            comment_id: commentId,
            shown,
            edited_at: sql`now()`,
            approval_digest: digest,
            // The first time counts: who read it then has seen what is to be approved.
            approval_shown_at: sql`case when approval_digest = ${digest}::text then approval_shown_at
              when ${digest}::text is not null then ${shownAt}::timestamptz end`,
          })
          .where('run_id', '=', run.id)
          .where('lease', '=', lease.id)
          .execute()
        const intents = await tx
          .updateTable('intents')
          .set({ state: 'done', external_id: commentId, settled_at: sql`now()` })
          .where('kind', '=', 'comment')
          .where('name', '=', run.id)
          .where(sql<boolean>`(state, external_id) is distinct from ('done', ${commentId}::text)`)
          .returningAll()
          .execute()
        await say(tx, EVENT_TYPES.intentSettled, run, lease, intents)
      }),

    async release(runId, lease, settled) {
      const released = await db
        .updateTable('comments')
        .set({ lease: null, lease_until: null, ...(settled && { done: lease.wanted }) })
        .where('run_id', '=', runId)
        .where('lease', '=', lease.id)
        .where((when) => (settled ? when('wanted', '=', lease.wanted) : when.lit(true)))
        .returning('run_id')
        .executeTakeFirst()
      if (released !== undefined || !settled) return true
      // More came while we wrote: free the lease for the next look.
      await db
        .updateTable('comments')
        .set({ lease: null, lease_until: null })
        .where('run_id', '=', runId)
        .where('lease', '=', lease.id)
        .execute()
      return false
    },

    async behind() {
      const rows = await db
        .selectFrom('comments')
        .select('run_id')
        .whereRef('wanted', '>', 'done')
        .where((when) => when.or([when('lease_until', 'is', null), when('lease_until', '<=', sql<Date>`now()`)]))
        // The order of the index of what is behind; without one all comments are read.
        .orderBy('run_id')
        .limit(100)
        .execute()
      return rows.map(({ run_id }) => run_id)
    },
  }

  async function gateOf(runId: string): Promise<Gate | undefined> {
    const approval = await db.selectFrom('approvals').selectAll().where('run_id', '=', runId).executeTakeFirst()
    if (approval === undefined) return undefined
    const decisions = await db
      .selectFrom('decisions')
      .selectAll()
      .where('approval_id', '=', approval.id)
      .orderBy('decided_at')
      .orderBy('key')
      .execute()
    return { approval, decisions }
  }

  /** Nothing, if it changed nothing. */
  async function say(tx: Tx, type: PlatformType, run: Row<'runs'>, lease: Lease, intents: readonly Row<'intents'>[]) {
    if (intents.length > 0)
      lease.written.push(await emit(tx, 'status-reporter', runEvent(type, run, { rows: { intents } })))
  }

  /** In the order in which the dispatcher takes them. */
  async function queuedBefore(run: Row<'runs'>): Promise<number> {
    const { count } = await db
      .selectFrom('runs')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .where('project_id', '=', run.project_id)
      .where('state', '=', 'queued')
      .where(sql<boolean>`(created_at, id) < (${run.created_at}, ${run.id}::uuid)`)
      .executeTakeFirstOrThrow()
    return count
  }

  /** What counts against the project's capacity. */
  async function atWork(projectId: string): Promise<number> {
    const { count } = await db
      .selectFrom('attempts')
      .innerJoin('runs', 'runs.id', 'attempts.run_id')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .where('runs.project_id', '=', projectId)
      .where('attempts.state', 'in', ['intended', 'created'])
      .executeTakeFirstOrThrow()
    return count
  }
}
