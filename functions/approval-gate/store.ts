import { sql } from 'kysely'
import type { Db } from '#shared/db/connect.ts'
import type { Row } from '#shared/db/schema.ts'
import { RetryLater } from '#shared/errors.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import type { TaskContent } from '#shared/job/bundle.ts'
import { writeAs } from '#shared/outbox/deliver.ts'
import { ranOut } from '#shared/run/approval.ts'
import { runEvent } from '#shared/run/run-event.ts'
import { lockRun } from '#shared/run/transition.ts'
import type { RefusalCode } from '#shared/workflow/refusals.ts'
import type { ApiDeps } from './api.ts'
import type { Approval } from './judge.ts'
import { record } from './record.ts'

/** Most refused decisions that are kept of one person about one approval, and of all. What counts is always kept. */
const MOST_REFUSED = { person: 5, all: 100 }

/** Most approvals of a subject that a command may mean, the newest. */
const MOST_APPROVALS = 10

/** The gate's part of the database. */
export function store(db: Db): Omit<ApiDeps, 'forge' | 'person' | 'relay' | 'log'> {
  const approvals = () =>
    db
      .selectFrom('approvals')
      .innerJoin('runs', 'runs.id', 'approvals.run_id')
      .leftJoin('comments', 'comments.run_id', 'approvals.run_id')
      .selectAll('runs')
      .select([
        'approvals.id as approval_id',
        'approvals.bundle_digest as approval_digest',
        'approvals.state as approval_state',
        'approvals.version as approval_version',
        'approvals.policy',
        sql<boolean>`approvals.state = 'pending' and approvals.expires_at <= now()`.as('overdue'),
        sql<Date | null>`case when comments.approval_digest = approvals.bundle_digest then approval_shown_at end`.as(
          'shown_at',
        ),
      ])

  return {
    async waiting(runId) {
      const run = await db.selectFrom('runs').selectAll().where('id', '=', runId).executeTakeFirst()
      if (run === undefined || run.bundle_digest === null) return undefined
      const { manifest } = await manifestOf(run.bundle_digest)
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

    async request({ tx, emit }, { run: seen }, gate) {
      const run = await lockRun(tx, seen.id)
      if (run.version !== seen.version) throw new RetryLater('the run moved on', { seconds: 0 })
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

    project: (id) => db.selectFrom('projects').selectAll().where('id', '=', id).executeTakeFirst(),

    async approvalsOf(projectId, subjectId) {
      const rows = await approvals()
        .where('runs.project_id', '=', projectId)
        .where('runs.subject_id', '=', subjectId)
        .orderBy('approvals.requested_at', 'desc')
        .limit(MOST_APPROVALS)
        .execute()
      return rows.map(read)
    },

    async approvalOf(runId) {
      const row = await approvals().where('approvals.run_id', '=', runId).executeTakeFirst()
      return row && read(row)
    },

    async ranOut() {
      const rows = await db
        .selectFrom('approvals')
        .innerJoin('runs', 'runs.id', 'approvals.run_id')
        .select('run_id')
        .where('approvals.state', 'in', ['pending', 'approved'])
        .where('approvals.consumed_at', 'is', null)
        .where('runs.state', 'in', ['waiting_approval', 'queued'])
        .where(ranOut)
        .limit(500)
        .execute()
      return rows.map(({ run_id }) => run_id)
    },

    write: async (work) => (await writeAs(db, 'approval-gate', work)).written,

    async decided(key) {
      const row = await db
        .selectFrom('decisions')
        .innerJoin('approvals', 'approvals.id', 'decisions.approval_id')
        .selectAll('decisions')
        .select(['approvals.run_id', 'approvals.policy'])
        .where('key', '=', key)
        .executeTakeFirst()
      return (
        row && {
          run: row.run_id,
          command: row.command,
          decision: row.decision,
          refusal: row.refusal as RefusalCode | null,
          state: row.state as Approval['state'],
          approvals: row.approvals,
          quorum: row.policy.quorum,
        }
      )
    },

    async bundled(digest) {
      const [{ title, body }, { manifest }] = await Promise.all([contentOf(digest), manifestOf(digest)])
      return { title, body, revise: manifest.revise }
    },

    async bundleOf(digest) {
      return { ...(await manifestOf(digest)), content: await contentOf(digest) }
    },

    decisionsOf: (approvalId) =>
      db
        .selectFrom('decisions')
        .select(['actor_id', 'actor_login', 'decision', 'reason', 'source', 'refusal', 'decided_at'])
        .where('approval_id', '=', approvalId)
        .orderBy('decided_at')
        .execute(),

    async approvers(approvalId) {
      return db
        .selectFrom('decisions')
        .select(['actor_id as id', 'actor_login as login'])
        .where('approval_id', '=', approvalId)
        .where('decision', '=', 'approve')
        .where('refusal', 'is', null)
        .execute()
    },

    async isFull(approvalId, actorId) {
      const { all, person } = await db
        .selectFrom('decisions')
        .select([
          sql<number>`count(*)::int`.as('all'),
          sql<number>`count(*) filter (where actor_id = ${actorId})::int`.as('person'),
        ])
        .where('approval_id', '=', approvalId)
        .where('refusal', 'is not', null)
        .executeTakeFirstOrThrow()
      return all >= MOST_REFUSED.all || person >= MOST_REFUSED.person
    },

    record,
  }

  function manifestOf(digest: string) {
    return db.selectFrom('bundles').select('manifest').where('digest', '=', digest).executeTakeFirstOrThrow()
  }

  async function contentOf(digest: string): Promise<TaskContent> {
    const { bytes } = await db
      .selectFrom('bundles')
      .innerJoin('blobs', (join) => join.on(sql<boolean>`blobs.digest = bundles.manifest->>'content'`))
      .select('blobs.bytes')
      .where('bundles.digest', '=', digest)
      .executeTakeFirstOrThrow()
    return JSON.parse(bytes.toString('utf8')) as TaskContent
  }
}

type Found = Row<'runs'> & {
  approval_id: string
  approval_digest: string
  approval_state: Approval['state']
  approval_version: number
  policy: Approval['policy']
  overdue: boolean
  shown_at: Date | null
}

function read({
  approval_id,
  approval_digest,
  approval_state,
  approval_version,
  policy,
  overdue,
  shown_at,
  ...run
}: Found): Approval {
  return {
    id: approval_id,
    digest: approval_digest,
    state: approval_state,
    version: approval_version,
    policy,
    overdue,
    shownAt: shown_at ?? undefined,
    run,
  }
}
