import { sql } from 'kysely'
import type { Db } from '#shared/db/connect.ts'
import type { Row } from '#shared/db/schema.ts'
import type { Tx } from '#shared/db/transaction.ts'
import { RetryLater } from '#shared/errors.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import { silentSeconds } from '#shared/job/bundle.ts'
import { mintToken } from '#shared/job/token.ts'
import type { Writer } from '#shared/outbox/deliver.ts'
import { runEvent } from '#shared/run/run-event.ts'
import { endRun, lockRun } from '#shared/run/transition.ts'
import { opens } from '#shared/workflow/gate.ts'
import { consumeApproval } from './approval.ts'
import { choosePlace } from './decide.ts'
import type { Intended } from './handler.ts'
import { jobName } from './job-name.ts'

/** How long the router's word about a run that waits is good, seconds. */
const JUDGED_SECONDS = 60

/** Queued runs of the project that there is room for, oldest first. The project's row is locked: capacity is counted once. */
export async function fitting(tx: Tx, projectId: string): Promise<(Row<'runs'> & { fresh: boolean })[]> {
  const project = await tx.selectFrom('projects').selectAll().where('id', '=', projectId).forUpdate().executeTakeFirst()
  if (project === undefined) throw new RetryLater(`project ${projectId} is not there`)
  const open = await tx
    .selectFrom('attempts')
    .innerJoin('runs', 'runs.id', 'attempts.run_id')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('runs.project_id', '=', projectId)
    .where('attempts.state', 'in', ['intended', 'created'])
    .executeTakeFirstOrThrow()
  const free = project.max_active - open.count
  if (free <= 0 || project.state !== 'connected') return []
  return tx
    .selectFrom('runs')
    .selectAll()
    .select(sql<boolean>`judged_at > now() - make_interval(secs => ${JUDGED_SECONDS})`.as('fresh'))
    .where('project_id', '=', projectId)
    .where('state', '=', 'queued')
    .orderBy('created_at')
    .orderBy('id')
    .limit(free)
    .execute()
}

/**
 * The intent: attempt, fence, the Job's name and namespace, committed before the Job is created. A run with a gate uses up
 * its approval with it, or is cancelled. One whose project names a run namespace that is not there fails.
 */
export async function commitIntent(writer: Writer, runId: string, namespaces: readonly string[]): Promise<void> {
  const { tx, emit } = writer
  const run = await lockRun(tx, runId)
  if (run.state !== 'queued' || run.bundle_digest === null) return
  const project = await tx
    .selectFrom('projects')
    .select('settings')
    .where('id', '=', run.project_id)
    .executeTakeFirstOrThrow()
  const place = choosePlace(namespaces, project.settings['runNamespace'])
  if (place.kind === 'unknown') {
    const { detail } = place
    return endRun(writer, run.id, {
      state: 'failed',
      type: EVENT_TYPES.runFailed,
      reason: 'run_namespace_unknown',
      detail,
    })
  }
  const { manifest } = await tx
    .selectFrom('bundles')
    .select('manifest')
    .where('digest', '=', run.bundle_digest)
    .executeTakeFirstOrThrow()
  if (!opens(manifest.gate) && !(await consumeApproval(writer, run))) return
  const attempt = await tx
    .insertInto('attempts')
    .values({
      run_id: run.id,
      attempt: sql`coalesce((select max(attempt) from attempts where run_id = ${run.id}), 0) + 1`,
      deadline_at: sql`now() + make_interval(secs => ${manifest.budget.seconds})`,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  const intent = await tx
    .insertInto('intents')
    .values({
      kind: 'job',
      name: jobName(run.id, attempt.attempt),
      namespace: place.namespace,
      run_id: run.id,
      attempt: attempt.attempt,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  const starting = await tx
    .updateTable('runs')
    .set({ state: 'starting', updated_at: sql`now()`, version: sql`version + 1` })
    .where('id', '=', run.id)
    .returningAll()
    .executeTakeFirstOrThrow()
  const rows = { runs: [starting], attempts: [attempt], intents: [intent] }
  await emit(runEvent(EVENT_TYPES.runStarting, starting, { rows, attempt: attempt.attempt }))
}

/** Every attempt of the project whose Job is not known to exist, with the Job as it would be created, each time the same. */
export async function openIntents(db: Db, tokenKey: string, projectId: string): Promise<Intended[]> {
  const open = await db
    .selectFrom('attempts')
    .innerJoin('runs', 'runs.id', 'attempts.run_id')
    .innerJoin('bundles', 'bundles.digest', 'runs.bundle_digest')
    .leftJoin('intents', (join) =>
      join
        .onRef('intents.run_id', '=', 'attempts.run_id')
        .onRef('intents.attempt', '=', 'attempts.attempt')
        .on('intents.kind', '=', 'job')
        .on('intents.state', '!=', 'gone'),
    )
    .selectAll('attempts')
    .select([
      'intents.namespace',
      'bundles.manifest',
      sql<number>`ceil(extract(epoch from deadline_at - now()))::int`.as('seconds'),
    ])
    .where('runs.project_id', '=', projectId)
    .where('attempts.state', '=', 'intended')
    .where('attempts.deadline_at', '>', sql<Date>`now()`)
    .execute()
  return Promise.all(
    open.map(async ({ manifest, seconds, namespace, ...attempt }) => {
      const run = await db.selectFrom('runs').selectAll().where('id', '=', attempt.run_id).executeTakeFirstOrThrow()
      const ref = { run: run.id, attempt: attempt.attempt, fence: attempt.fence }
      const tokens = { run: mintToken(tokenKey, 'run', ref), model: mintToken(tokenKey, 'model', ref) }
      const { image, resources } = manifest
      const job = {
        name: jobName(run.id, attempt.attempt),
        namespace,
        run: run.id,
        attempt: ref.attempt,
        image,
        resources,
        seconds,
        silentSeconds: silentSeconds(manifest),
        tokens,
      }
      return { run, attempt, job }
    }),
  )
}
