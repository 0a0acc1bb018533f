import { randomBytes } from 'node:crypto'
import type { Db } from '#shared/db/connect.ts'
import { transaction, type Tx } from '#shared/db/transaction.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import { emit } from '#shared/outbox/write.ts'

/** A repository to connect, as the forge knows it. */
export interface RepositoryToConnect {
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

/** A connected repository. The forge delivers to the gateway's `/hooks/github/<hookId>`. */
export interface ConnectedProject {
  readonly projectId: string
  readonly hookId: string
  readonly secretName: string
  readonly did: 'connected' | 'changed' | 'unchanged'
}

/**
 * Writes project and hook, or brings those that are there to what is wanted; a repository that was disconnected is
 * connected again. `secretName` is the name the hook's secret has where the gateway reads it: the database never holds it.
 * A hook that the project has with another secret that is there, of `otherSecretNames`, is as good.
 */
export async function connectProject(
  db: Db,
  producer: string,
  repository: RepositoryToConnect,
  secretName: string,
  otherSecretNames: readonly string[] = [],
): Promise<ConnectedProject> {
  return transaction(db, async (tx) => {
    const { project, did } = await writeProject(tx, repository)
    const hooks = await tx
      .selectFrom('hooks')
      .select(['id', 'secret_name as secretName'])
      .where('project_id', '=', project.id)
      .where('secret_name', 'in', [secretName, ...otherSecretNames])
      .orderBy('created_at', 'desc')
      .execute()
    const known = hooks.find((hook) => hook.secretName === secretName) ?? hooks[0]
    if (known !== undefined && did === 'unchanged')
      return { projectId: project.id, hookId: known.id, secretName: known.secretName, did }
    const hook =
      known === undefined
        ? await tx
            .insertInto('hooks')
            .values({
              id: randomBytes(16).toString('hex'),
              provider: 'github',
              instance: repository.instance,
              project_id: project.id,
              secret_name: secretName,
            })
            .returningAll()
            .executeTakeFirstOrThrow()
        : undefined
    await emit(tx, producer, {
      type: EVENT_TYPES.projectConnected,
      subject: `projects/${project.id}`,
      extensions: { provider: project.provider, project: project.id, repository: project.repository_id },
      data: { project: project.id },
      rows: { projects: [project], ...(hook !== undefined && { hooks: [hook] }) },
    })
    const { id: hookId = '', secretName: name = secretName } = known ?? { id: hook?.id }
    return { projectId: project.id, hookId, secretName: name, did: did === 'unchanged' ? 'changed' : did }
  })
}

async function writeProject(tx: Tx, repository: RepositoryToConnect) {
  const { instance, repositoryId, fullName, installationId, ownActorId, maxActive, settings } = repository
  const wanted = {
    full_name: fullName,
    installation_id: installationId,
    own_actor_id: ownActorId,
    ...(maxActive !== undefined && { max_active: maxActive }),
    ...(settings !== undefined && { settings: JSON.stringify(settings) }),
  }
  const fresh = await tx
    .insertInto('projects')
    .values({ provider: 'github', instance, repository_id: repositoryId, settings: '{}', ...wanted })
    .onConflict((conflict) => conflict.columns(['provider', 'instance', 'repository_id']).doNothing())
    .returningAll()
    .executeTakeFirst()
  if (fresh !== undefined) return { project: fresh, did: 'connected' as const }
  const before = await tx
    .selectFrom('projects')
    .selectAll()
    .where('provider', '=', 'github')
    .where('instance', '=', instance)
    .where('repository_id', '=', repositoryId)
    .forUpdate()
    .executeTakeFirstOrThrow()
  const project = await tx
    .updateTable('projects')
    .set({ ...wanted, state: 'connected' })
    .where('id', '=', before.id)
    .returningAll()
    .executeTakeFirstOrThrow()
  if (JSON.stringify(project) === JSON.stringify(before)) return { project, did: 'unchanged' as const }
  return { project, did: before.state === 'connected' ? ('changed' as const) : ('connected' as const) }
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

/** Nothing of these projects is accepted or started any more; without ids, of all. What they have stays. */
export async function disconnectProjects(db: Db, producer: string, ids?: readonly string[]): Promise<void> {
  await transaction(db, async (tx) => {
    const projects = await tx
      .updateTable('projects')
      .set({ state: 'disconnected' })
      .where('state', '=', 'connected')
      .$if(ids !== undefined, (query) => query.where('id', 'in', [...(ids ?? []), NOBODY]))
      .returningAll()
      .execute()
    for (const project of projects)
      await emit(tx, producer, {
        type: EVENT_TYPES.projectDisconnected,
        subject: `projects/${project.id}`,
        extensions: { provider: project.provider, project: project.id, repository: project.repository_id },
        data: { project: project.id },
        rows: { projects: [project] },
      })
  })
}

/** SQL knows no empty list. */
const NOBODY = '00000000-0000-0000-0000-000000000000'
