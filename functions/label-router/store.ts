import { sql } from 'kysely'
import type { Db } from '#shared/db/connect.ts'
import { ACTIVE_STATES, type Row } from '#shared/db/schema.ts'
import type { Tx } from '#shared/db/transaction.ts'
import { RetryLater } from '#shared/errors.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import type { Writer } from '#shared/outbox/deliver.ts'
import { endRun } from '#shared/run/transition.ts'
import { runEvent } from '#shared/run/run-event.ts'
import { opens } from '#shared/workflow/gate.ts'
import type { ReasonCode } from '#shared/workflow/reasons.ts'
import type { Deps, Intent, Project } from './handler.ts'

/** The router's part of the database. */
export function store(db: Db): Pick<Deps, 'project' | 'run' | 'createRun' | 'refuseRun' | 'cancelRuns' | 'renewRun'> {
  return {
    project: (id) => db.selectFrom('projects').selectAll().where('id', '=', id).executeTakeFirst(),
    run: (id) => db.selectFrom('runs').selectAll().where('id', '=', id).executeTakeFirst(),

    async createRun(writer, intent, { digest, manifest, blobs }) {
      const { tx } = writer
      const subject = await lockSubject(tx, intent.project.id, intent.subject)
      if (await known(tx, intent)) return
      if (await overtaken(tx, intent)) return refuse(writer, intent, 'superseded', undefined)
      await cancel(writer, intent.project, intent.subject.id, intent.stage, 'superseded')
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
      const change = await tx
        .insertInto('changes')
        .values({
          project_id: intent.project.id,
          subject_id: intent.subject.id,
          base_ref: manifest.base.ref,
          base_commit: manifest.base.commit,
          branch: sql`'agent/' || ${String(intent.subject.number)} || '-' || substr(md5(gen_random_uuid()::text), 1, 10)`,
        })
        .returningAll()
        .executeTakeFirstOrThrow()
      const start = opens(manifest.gate)
        ? ({ state: 'queued', type: EVENT_TYPES.stageApproved } as const)
        : ({ state: 'waiting_approval', type: EVENT_TYPES.stageRequested } as const)
      const run = await tx
        .insertInto('runs')
        .values({ ...columns(intent), state: start.state, bundle_digest: digest, change_id: change.id })
        .returningAll()
        .executeTakeFirstOrThrow()
      await tx
        .insertInto('links')
        .values([
          { from_kind: 'issue', from_id: intent.subject.id, relation: 'asked for', to_kind: 'run', to_id: run.id },
          { from_kind: 'run', from_id: run.id, relation: 'works on', to_kind: 'change', to_id: change.id },
        ])
        .execute()
      await writer.emit(
        runEvent(start.type, run, {
          rows: { runs: [run], changes: [change], subjects: [subject], bundles: await rowsOf(tx, digest) },
        }),
      )
    },

    refuseRun: refuse,

    cancelRuns: (writer, project, subjectId, stage, reason) => cancel(writer, project, subjectId, stage, reason),

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

async function refuse(writer: Writer, intent: Intent, reason: ReasonCode, detail: string | undefined): Promise<void> {
  const subject = await lockSubject(writer.tx, intent.project.id, intent.subject)
  if (await known(writer.tx, intent)) return
  const run = await writer.tx
    .insertInto('runs')
    .values({ ...columns(intent), state: 'refused', reason, detail: detail?.slice(0, 500) ?? null })
    .returningAll()
    .executeTakeFirstOrThrow()
  await writer.emit(runEvent(EVENT_TYPES.requestRefused, run, { rows: { runs: [run], subjects: [subject] }, reason }))
}

async function cancel(
  writer: Writer,
  project: Project,
  subjectId: string,
  stage: string | undefined,
  reason: ReasonCode,
): Promise<void> {
  const { tx } = writer
  await tx
    .selectFrom('subjects')
    .select('id')
    .where('project_id', '=', project.id)
    .where('id', '=', subjectId)
    .forUpdate()
    .execute()
  const query = tx
    .selectFrom('runs')
    .select('id')
    .where('project_id', '=', project.id)
    .where('subject_id', '=', subjectId)
    .where('state', 'in', ACTIVE_STATES)
  const runs = await (stage === undefined ? query : query.where('stage', '=', stage)).execute()
  for (const { id } of runs) await endRun(writer, id, { state: 'cancelled', type: EVENT_TYPES.runCancelled, reason })
}

/** Whether this label event has its run already: whatever repeated the delivery, there is one. */
async function known(tx: Tx, intent: Intent): Promise<boolean> {
  const { provider, instance, repository_id, subject_id, label_event_id } = columns(intent)
  const run = await tx
    .selectFrom('runs')
    .select('id')
    .where('provider', '=', provider)
    .where('instance', '=', instance)
    .where('repository_id', '=', repository_id)
    .where('subject_id', '=', subject_id)
    .where('label_event_id', '=', label_event_id)
    .executeTakeFirst()
  return run !== undefined
}

/**
 * Whether the same stage was asked for again before this label event was handled: events arrive in any order, and the
 * intent that counts is the latest. A refused request takes nobody's place.
 */
async function overtaken(tx: Tx, { project, subject, stage, labelEvent }: Intent): Promise<boolean> {
  const newer = await tx
    .selectFrom('runs')
    .select('id')
    .where('project_id', '=', project.id)
    .where('subject_id', '=', subject.id)
    .where('stage', '=', stage)
    .where('state', '!=', 'refused')
    .where((when) =>
      when.or([
        when('requested_at', '>', labelEvent.createdAt),
        // Within one second the forge's own counter decides.
        when.and([
          when('requested_at', '=', labelEvent.createdAt),
          sql<boolean>`(length(label_event_id), label_event_id) > (length(${labelEvent.id}::text), ${labelEvent.id}::text)`,
        ]),
      ]),
    )
    .limit(1)
    .executeTakeFirst()
  return newer !== undefined
}

function columns({ project, subject, labelEvent, label, stage, requester }: Intent) {
  return {
    project_id: project.id,
    provider: project.provider,
    instance: project.instance,
    repository_id: project.repository_id,
    subject_id: subject.id,
    subject_number: subject.number,
    label_event_id: labelEvent.id,
    label,
    stage,
    requester_id: requester.id,
    requester_login: requester.login,
    requested_at: labelEvent.createdAt,
  }
}

function rowsOf(tx: Tx, digest: string): Promise<Row<'bundles'>[]> {
  return tx.selectFrom('bundles').selectAll().where('digest', '=', digest).execute()
}

/** Takes the lock of an issue or pull request, writing its row first if it is new. Held until the transaction ends. */
async function lockSubject(
  tx: Tx,
  projectId: string,
  subject: Omit<Row<'subjects'>, 'project_id'>,
): Promise<Row<'subjects'>> {
  return tx
    .insertInto('subjects')
    .values({ project_id: projectId, ...subject })
    .onConflict((conflict) => conflict.columns(['project_id', 'id']).doUpdateSet({ number: subject.number }))
    .returningAll()
    .executeTakeFirstOrThrow()
}
