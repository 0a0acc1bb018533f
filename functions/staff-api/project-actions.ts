import { randomBytes } from 'node:crypto'
import { crashPoint } from '#shared/crash-point.ts'
import type { Db } from '#shared/db/connect.ts'
import { ACTIVE_STATES, type Row } from '#shared/db/schema.ts'
import { transaction, type Tx } from '#shared/db/transaction.ts'
import { EVENT_TYPES, type PlatformType } from '#shared/events/types.ts'
import { emit, type Emission } from '#shared/outbox/write.ts'
import { endRun } from '#shared/run/transition.ts'
import { recordAct } from './handler.ts'
import type { Caller } from './token-review.ts'

/** A repository as the forge knows it, and what is wanted of it. */
export interface NewProject {
  readonly instance: string
  readonly repositoryId: string
  readonly fullName: string
  readonly installationId: string | null
  /** Numeric id of the account that we act as. */
  readonly ownActorId: string
  readonly maxActive: number
  readonly runNamespace: string | undefined
}

/** The outcome of an action on a project: nothing was written where nothing changed. */
export interface Changed {
  readonly project: string
  readonly written: readonly string[]
}

/** Takes a repository in, disconnected, with a hook whose secret somebody else writes; or finds that it is in already. */
export async function addProject(db: Db, caller: Caller, wanted: NewProject): Promise<Changed> {
  const done = await transaction(db, async (tx) => {
    const inserted = await tx
      .insertInto('projects')
      .values({
        provider: 'github',
        instance: wanted.instance,
        repository_id: wanted.repositoryId,
        full_name: wanted.fullName,
        installation_id: wanted.installationId,
        own_actor_id: wanted.ownActorId,
        settings: JSON.stringify(wanted.runNamespace === undefined ? {} : { runNamespace: wanted.runNamespace }),
        max_active: wanted.maxActive,
        state: 'disconnected',
      })
      .onConflict((same) => same.columns(['provider', 'instance', 'repository_id']).doNothing())
      .returningAll()
      .executeTakeFirst()
    const project = inserted ?? (await lockRepository(tx, wanted))
    const known = await tx.selectFrom('hooks').select('id').where('project_id', '=', project.id).executeTakeFirst()
    if (known !== undefined || project.state === 'connected') return { project: project.id, written: [] }
    const id = randomBytes(16).toString('hex')
    const hook = await tx
      .insertInto('hooks')
      .values({
        id,
        provider: 'github',
        instance: project.instance,
        project_id: project.id,
        secret_name: `hook-${id}`,
      })
      .returningAll()
      .executeTakeFirstOrThrow()
    const written = [
      await sayProject(tx, EVENT_TYPES.projectAdded, project, { projects: [project], hooks: [hook] }),
      await act(tx, caller, 'project.added', project),
    ]
    crashPoint('staff.before-project-commit')
    return { project: project.id, written }
  })
  crashPoint('staff.after-project-commit')
  return done
}

/** From here on what the repository's hook brings is accepted. */
export async function connectProject(
  db: Db,
  caller: Caller,
  id: string,
  now: Pick<NewProject, 'fullName' | 'installationId' | 'ownActorId'>,
): Promise<Changed> {
  return transaction(db, async (tx) => {
    const before = await lockProject(tx, id)
    const same =
      before.state === 'connected' &&
      before.full_name === now.fullName &&
      before.installation_id === now.installationId &&
      before.own_actor_id === now.ownActorId
    if (same) return { project: id, written: [] }
    const project = await tx
      .updateTable('projects')
      .set({
        state: 'connected',
        full_name: now.fullName,
        installation_id: now.installationId,
        own_actor_id: now.ownActorId,
      })
      .where('id', '=', id)
      .returningAll()
      .executeTakeFirstOrThrow()
    const said = await sayProject(tx, EVENT_TYPES.projectConnected, project, { projects: [project] })
    return { project: id, written: [said, await act(tx, caller, 'project.connected', project)] }
  })
}

/** Nobody asks the forge about this hook any more. */
export async function forgetHook(db: Db, hookId: string): Promise<void> {
  await db.deleteFrom('hook_checks').where('hook_id', '=', hookId).execute()
}

/** Nothing of the repository is accepted or started any more, and what is under way is cancelled. What happened stays. */
export async function disconnectProject(db: Db, caller: Caller, id: string): Promise<Changed> {
  const done = await transaction(db, async (tx) => {
    const before = await lockProject(tx, id)
    const written: string[] = []
    const writer = { tx, emit: async (emission: Emission) => void written.push(await emit(tx, 'staff-api', emission)) }
    const active = await tx
      .selectFrom('runs')
      .select('id')
      .where('project_id', '=', id)
      .where('state', 'in', ACTIVE_STATES)
      .orderBy('subject_id')
      .execute()
    for (const run of active)
      await endRun(writer, run.id, {
        state: 'cancelled',
        type: EVENT_TYPES.runCancelled,
        reason: 'project_removed',
      })
    if (before.state === 'connected') {
      const project = await tx
        .updateTable('projects')
        .set({ state: 'disconnected' })
        .where('id', '=', id)
        .returningAll()
        .executeTakeFirstOrThrow()
      written.push(await sayProject(tx, EVENT_TYPES.projectDisconnected, project, { projects: [project] }))
    }
    if (written.length > 0) written.push(await act(tx, caller, 'project.removed', before))
    crashPoint('staff.before-removal-commit')
    return { project: id, written }
  })
  crashPoint('staff.after-removal-commit')
  return done
}

/** Says that labels were made or repaired, which changes no row. */
export function recordLabels(
  db: Db,
  caller: Caller,
  project: Row<'projects'>,
  more: { created: number; repaired: number },
) {
  return transaction(db, (tx) => act(tx, caller, 'labels.synced', project, more))
}

function act(
  tx: Tx,
  caller: Caller,
  action: string,
  { id }: Row<'projects'>,
  more?: Readonly<Record<string, string | number>>,
): Promise<string> {
  return recordAct(tx, caller, { action, subject: `projects/${id}`, project: id, ...(more && { more }) })
}

function lockRepository(tx: Tx, { instance, repositoryId }: NewProject): Promise<Row<'projects'>> {
  return tx
    .selectFrom('projects')
    .selectAll()
    .where('provider', '=', 'github')
    .where('instance', '=', instance)
    .where('repository_id', '=', repositoryId)
    .forUpdate()
    .executeTakeFirstOrThrow()
}

function lockProject(tx: Tx, id: string): Promise<Row<'projects'>> {
  return tx.selectFrom('projects').selectAll().where('id', '=', id).forUpdate().executeTakeFirstOrThrow()
}

function sayProject(tx: Tx, type: PlatformType, project: Row<'projects'>, rows: Emission['rows']): Promise<string> {
  return emit(tx, 'staff-api', {
    type,
    subject: `projects/${project.id}`,
    extensions: { provider: project.provider, project: project.id, repository: project.repository_id },
    data: { project: project.id },
    rows,
  })
}
