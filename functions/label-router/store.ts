import { sql } from 'kysely'
import type { Db } from '#shared/db/connect.ts'
import { ACTIVE_STATES, type Row } from '#shared/db/schema.ts'
import type { Tx } from '#shared/db/transaction.ts'
import { RetryLater } from '#shared/errors.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import type { Writer } from '#shared/outbox/deliver.ts'
import type { Emission } from '#shared/outbox/write.ts'
import { endRun } from '#shared/run/transition.ts'
import { runEvent } from '#shared/run/run-event.ts'
import { opens } from '#shared/workflow/gate.ts'
import { currentTrace } from '#shared/telemetry/trace.ts'
import type { ReasonCode } from '#shared/workflow/reasons.ts'
import type { Deps, Intent, Look, Which } from './handler.ts'
import { history, targets } from './history.ts'
import { columns, known, overtaken } from './intent-keys.ts'
import { stageIn } from './revise-stage.ts'
import { countChange, lockSubject } from './subject-lock.ts'

/** The router's part of the database. */
export function store(db: Db): Omit<Deps, 'forge' | 'workflow' | 'models' | 'model'> {
  return {
    project: (id) => db.selectFrom('projects').selectAll().where('id', '=', id).executeTakeFirst(),
    changeOfPull: async (projectId, pullNumber) => (await targets(db, projectId, { pullNumber }, 1))[0],
    changesOf: (projectId, subjectId, most) => targets(db, projectId, { subjectId }, most),
    history: (change) => history(db, change),
    async revision({ bundle_digest: digest }) {
      const bundle = await db.selectFrom('bundles').select('manifest').where('digest', '=', digest).executeTakeFirst()
      return bundle?.manifest.revise
    },
    run: (id) => db.selectFrom('runs').selectAll().where('id', '=', id).executeTakeFirst(),

    async subjectVersion(projectId, subjectId) {
      const subject = await db
        .selectFrom('subjects')
        .select('version')
        .where('project_id', '=', projectId)
        .where('id', '=', subjectId)
        .executeTakeFirst()
      return subject?.version ?? 0
    },

    async createRun(writer, intent, { digest, manifest, blobs }) {
      const { tx } = writer
      await lockSubject(tx, intent)
      if (await known(tx, intent)) return
      if (await overtaken(tx, intent)) return refuse(writer, intent, 'superseded', undefined)
      const subject = await countChange(tx, intent)
      await cancel(writer, intent, { stage: intent.stage }, 'superseded', subject)
      await tx
        .insertInto('blobs')
        .values([...blobs].map(([blob, bytes]) => ({ digest: blob, bytes })))
        .onConflict((conflict) => conflict.doNothing())
        .execute()
      await tx
        .insertInto('bundles')
        .values({ digest, manifest: JSON.stringify(manifest) })
        .onConflict((conflict) => conflict.doNothing())
        .execute()
      const change = await (manifest.revise === undefined
        ? newChange(tx, intent, manifest.base)
        : tx.selectFrom('changes').selectAll().where('id', '=', manifest.revise.change).executeTakeFirstOrThrow())
      const start = opens(manifest.gate)
        ? ({ state: 'queued', type: EVENT_TYPES.stageApproved } as const)
        : ({ state: 'waiting_approval', type: EVENT_TYPES.stageRequested } as const)
      const run = await tx
        .insertInto('runs')
        .values({
          ...columns(intent),
          traceparent: currentTrace() ?? null,
          state: start.state,
          bundle_digest: digest,
          change_id: change.id,
        })
        .returningAll()
        .executeTakeFirstOrThrow()
      const links = await tx
        .insertInto('links')
        .values([
          { from_kind: 'issue', from_id: intent.subject.id, relation: 'asked for', to_kind: 'run', to_id: run.id },
          { from_kind: 'run', from_id: run.id, relation: 'works on', to_kind: 'change', to_id: change.id },
        ])
        .returningAll()
        .execute()
      await writer.emit(
        runEvent(start.type, run, {
          rows: { runs: [run], changes: [change], subjects: [subject], bundles: await rowsOf(tx, digest), links },
        }),
      )
    },

    refuseRun: refuse,

    async cancelRuns(writer, look, which, reason) {
      await lockSubject(writer.tx, look)
      const subject = await countChange(writer.tx, look)
      const cancelled = await cancel(writer, look, which, reason, subject)
      // Said all the same: whoever made a run of what the forge showed before has to see that it is so no more.
      if (cancelled === 0) await writer.emit(withdrawn(look, which, reason, subject))
    },

    async renewRun(writer, runId) {
      const run = await writer.tx
        .updateTable('runs')
        .set({ judged_at: sql`now()`, updated_at: sql`now()`, version: sql`version + 1` })
        .where('id', '=', runId)
        .where('state', '=', 'queued')
        .returningAll()
        .executeTakeFirst()
      if (run === undefined) throw new RetryLater('the run moved on', { seconds: 0 })
      await writer.emit(runEvent(EVENT_TYPES.stageApproved, run, { rows: { runs: [run] } }))
    },
  }
}

function newChange(tx: Tx, { project, subject }: Intent, base: { readonly ref: string; readonly commit: string }) {
  return tx
    .insertInto('changes')
    .values({
      project_id: project.id,
      subject_id: subject.id,
      base_ref: base.ref,
      base_commit: base.commit,
      branch: sql`'agent/' || ${String(subject.number)} || '-' || substr(md5(gen_random_uuid()::text), 1, 10)`,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
}

async function refuse(writer: Writer, intent: Intent, reason: ReasonCode, detail: string | undefined): Promise<void> {
  const { askedOn = intent.subject } = intent
  // The issue first, also where the refusal is said on its pull request: there a run of this request would be.
  await lockSubject(writer.tx, intent)
  const subject = await lockSubject(writer.tx, { ...intent, subject: askedOn })
  if (await known(writer.tx, intent)) return
  const run = await writer.tx
    .insertInto('runs')
    .values({
      ...columns({ ...intent, subject: askedOn }),
      traceparent: currentTrace() ?? null,
      state: 'refused',
      reason,
      detail: detail?.slice(0, 500) ?? null,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  await writer.emit(runEvent(EVENT_TYPES.requestRefused, run, { rows: { runs: [run], subjects: [subject] }, reason }))
}

/** Cancels what is active, under the subject's lock; returns how many runs that were. */
async function cancel(
  writer: Writer,
  { project, subject: { id: subjectId } }: Look,
  which: Which,
  reason: ReasonCode,
  subject: Row<'subjects'>,
): Promise<number> {
  const runs = await writer.tx
    .selectFrom('runs')
    .leftJoin('bundles', 'bundles.digest', 'runs.bundle_digest')
    .select(['runs.id', 'runs.stage', 'runs.label', 'runs.subject_number', 'bundles.manifest'])
    .where('project_id', '=', project.id)
    .where('subject_id', '=', subjectId)
    .where('state', 'in', ACTIVE_STATES)
    .execute()
  const meant = runs.filter(({ stage, label, subject_number, manifest }) => {
    if (which === 'all') return true
    if ('stage' in which) return stage === which.stage
    const { by, on } = manifest?.revise?.asked ?? { by: 'label', on: subject_number }
    return by === 'label' && label === which.label && on === which.on
  })
  const end = { state: 'cancelled', type: EVENT_TYPES.runCancelled, reason, rows: { subjects: [subject] } } as const
  for (const { id } of meant) await endRun(writer, id, end)
  return meant.length
}

function withdrawn({ project }: Look, which: Which, reason: ReasonCode, subject: Row<'subjects'>): Emission {
  const stage = which === 'all' ? undefined : 'stage' in which ? which.stage : stageIn(which.label)
  return {
    type: EVENT_TYPES.requestWithdrawn,
    subject: `subjects/${project.id}/${subject.id}`,
    extensions: {
      provider: project.provider,
      project: project.id,
      repository: project.repository_id,
      partitionkey: `${project.repository_id}#${subject.number}`,
    },
    data: { project: project.id, subject: subject.id, reason, ...(stage !== undefined && { stage }) },
    rows: { subjects: [subject] },
  }
}

function rowsOf(tx: Tx, digest: string): Promise<Row<'bundles'>[]> {
  return tx.selectFrom('bundles').selectAll().where('digest', '=', digest).execute()
}
