import { randomBytes } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { Db } from '#shared/db/connect.ts'
import { ACTIVE_STATES, type Row } from '#shared/db/schema.ts'
import type { Tx } from '#shared/db/transaction.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import type { Writer } from '#shared/outbox/deliver.ts'
import { endRun } from '#shared/run/transition.ts'

/** A repository as the forge knows it, and what is wanted of it. */
export interface Repository {
  /** Root of the forge's API. */
  readonly instance: string
  readonly repositoryId: string
  readonly fullName: string
  readonly installationId: string | null
  /** Numeric id of the account that we act as. */
  readonly ownActorId: string
  /** Runs at a time; default 2. Undefined: as it is. */
  readonly maxActive?: number | undefined
  /** Undefined: as they are. */
  readonly settings?: Readonly<Record<string, unknown>> | undefined
}

/** A connected repository. The forge delivers to the gateway's `hookPath`. */
export interface ConnectedProject {
  readonly projectId: string
  readonly hookId: string
  readonly secretName: string
  readonly settings: Row<'projects'>['settings']
  readonly did: 'connected' | 'changed' | 'unchanged'
}

/** Where the forge sends what it has for a hook, below the public URL. */
export const hookPath = (hookId: string): string => `/hooks/github/${hookId}`

/**
 * Takes a repository in, disconnected, with a hook whose secret somebody else writes under the hook's own name. One that is
 * in stays connected or disconnected; what is said of its runs is taken over, each setting by itself.
 */
export async function addProject(
  writer: Writer,
  repository: Repository,
): Promise<{ readonly projectId: string; readonly did: 'added' | 'changed' | 'unchanged' }> {
  const { tx } = writer
  const fresh = await insert(tx, repository, 'disconnected')
  const { project, isChanged } = fresh ? { project: fresh, isChanged: true } : await take(tx, repository)
  const { id: projectId, state } = project
  const known = await tx.selectFrom('hooks').select('id').where('project_id', '=', projectId).executeTakeFirst()
  const hooks = known === undefined && state !== 'connected' ? [await insertHook(tx, project)] : []
  if (!isChanged && hooks.length === 0) return { projectId, did: 'unchanged' }
  await say(writer, state === 'connected' ? 'projectConnected' : 'projectAdded', project, { hooks })
  return { projectId, did: hooks.length > 0 ? 'added' : 'changed' }
}

/**
 * From here on what the repository's hook brings is accepted. Writes project and hook, or brings those that are there to what
 * is wanted; a repository that was disconnected is connected again. `secretNames` are names that a hook's secret has where the
 * gateway reads it: a new hook gets the first, and one that is there with any of them is as good. The database never holds
 * a secret.
 */
export async function connectProject(
  writer: Writer,
  repository: Repository,
  secretNames: readonly [string, ...string[]],
): Promise<ConnectedProject> {
  const { tx } = writer
  const { project, did } = await bring(tx, repository)
  const hooks = await tx
    .selectFrom('hooks')
    .selectAll()
    .where('project_id', '=', project.id)
    .where('secret_name', 'in', secretNames)
    .orderBy('created_at', 'desc')
    .execute()
  const known = hooks.find((hook) => hook.secret_name === secretNames[0]) ?? hooks[0]
  const hook = known ?? (await insertHook(tx, project, secretNames[0]))
  const { settings } = project
  const connected = { projectId: project.id, hookId: hook.id, secretName: hook.secret_name, settings }
  if (known !== undefined && did === 'unchanged') return { ...connected, did }
  await say(writer, 'projectConnected', project, { hooks: known === undefined ? [hook] : [] })
  return { ...connected, did: did === 'unchanged' ? 'changed' : did }
}

/** Nothing of the repository is accepted or started any more, and what is under way is cancelled. What happened stays. */
export async function disconnectProject(
  writer: Writer,
  projectId: string,
): Promise<{ readonly did: 'disconnected' | 'unchanged' }> {
  const { tx } = writer
  const before = await tx.selectFrom('projects').selectAll().where('id', '=', projectId).forUpdate().executeTakeFirst()
  if (before === undefined) return { did: 'unchanged' }
  const active = await tx
    .selectFrom('runs')
    .select('id')
    .where('project_id', '=', projectId)
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
      .where('id', '=', projectId)
      .returningAll()
      .executeTakeFirstOrThrow()
    await say(writer, 'projectDisconnected', project, { hooks: [] })
  }
  return { did: active.length > 0 || before.state === 'connected' ? 'disconnected' : 'unchanged' }
}

/** Once the forge has made the hook: by its id there the router reads what the forge could not deliver. */
export async function rememberHook(
  db: Db,
  { hookId }: Pick<ConnectedProject, 'hookId'>,
  forgeHookId: string,
): Promise<void> {
  await db
    .insertInto('hook_checks')
    .values({ hook_id: hookId, forge_hook_id: forgeHookId })
    .onConflict((conflict) => conflict.column('hook_id').doUpdateSet({ forge_hook_id: forgeHookId }))
    .execute()
}

/** The hook is gone at the forge: nobody asks about it any more. */
export async function forgetHook(db: Db, hookId: string): Promise<void> {
  await db.deleteFrom('hook_checks').where('hook_id', '=', hookId).execute()
}

/** The row of a repository that was not there; undefined where it was. */
function insert(tx: Tx, repository: Repository, state: Row<'projects'>['state']) {
  const { instance, repositoryId: repository_id } = repository
  return tx
    .insertInto('projects')
    .values({ provider: 'github', instance, repository_id, state, settings: '{}', ...columnsOf(repository) })
    .onConflict((conflict) => conflict.columns(['provider', 'instance', 'repository_id']).doNothing())
    .returningAll()
    .executeTakeFirst()
}

function lock(tx: Tx, { instance, repositoryId }: Repository): Promise<Row<'projects'>> {
  return tx
    .selectFrom('projects')
    .selectAll()
    .where('provider', '=', 'github')
    .where('instance', '=', instance)
    .where('repository_id', '=', repositoryId)
    .forUpdate()
    .executeTakeFirstOrThrow()
}

/** The row as it is, but for the number of runs and the settings that were said. */
async function take(tx: Tx, repository: Repository) {
  const before = await lock(tx, repository)
  const { maxActive = before.max_active, settings = {} } = repository
  const project = await tx
    .updateTable('projects')
    .set({ max_active: maxActive, settings: JSON.stringify({ ...before.settings, ...settings }) })
    .where('id', '=', before.id)
    .returningAll()
    .executeTakeFirstOrThrow()
  return { project, isChanged: !isDeepStrictEqual(project, before) }
}

/** The row, connected and as it is wanted. */
async function bring(tx: Tx, repository: Repository) {
  const fresh = await insert(tx, repository, 'connected')
  if (fresh !== undefined) return { project: fresh, did: 'connected' as const }
  const before = await lock(tx, repository)
  const project = await tx
    .updateTable('projects')
    .set({ ...columnsOf(repository), state: 'connected' })
    .where('id', '=', before.id)
    .returningAll()
    .executeTakeFirstOrThrow()
  if (isDeepStrictEqual(project, before)) return { project, did: 'unchanged' as const }
  return { project, did: before.state === 'connected' ? ('changed' as const) : ('connected' as const) }
}

/** What may change while a repository stays the same one; what is not said is left as it is. */
function columnsOf({ fullName, installationId, ownActorId, maxActive, settings }: Repository) {
  return {
    full_name: fullName,
    installation_id: installationId,
    own_actor_id: ownActorId,
    ...(maxActive !== undefined && { max_active: maxActive }),
    ...(settings !== undefined && { settings: JSON.stringify(settings) }),
  }
}

function insertHook(tx: Tx, { id: projectId, instance }: Row<'projects'>, secretName?: string): Promise<Row<'hooks'>> {
  const id = randomBytes(16).toString('hex')
  return tx
    .insertInto('hooks')
    .values({ id, provider: 'github', instance, project_id: projectId, secret_name: secretName ?? `hook-${id}` })
    .returningAll()
    .executeTakeFirstOrThrow()
}

function say(
  { emit }: Writer,
  what: 'projectAdded' | 'projectConnected' | 'projectDisconnected',
  project: Row<'projects'>,
  { hooks }: { readonly hooks: readonly Row<'hooks'>[] },
): Promise<void> {
  return emit({
    type: EVENT_TYPES[what],
    subject: `projects/${project.id}`,
    extensions: { provider: project.provider, project: project.id, repository: project.repository_id },
    data: { project: project.id },
    rows: { projects: [project], ...(hooks.length > 0 && { hooks }) },
  })
}
