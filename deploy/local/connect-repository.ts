import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Db } from '#shared/db/connect.ts'
import { transaction } from '#shared/db/transaction.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import { emit } from '#shared/outbox/write.ts'

/** A repository to connect, as the forge knows it. */
export interface RepositoryToConnect {
  readonly instance: string
  readonly repositoryId: string
  readonly fullName: string
  readonly installationId: string | null
  /** Numeric id of the account that we act as. */
  readonly ownActorId: string
  /** Runs at a time; default 2. */
  readonly maxActive?: number
}

/** A connected repository: where the forge has to send its webhooks, and what it has to sign them with. */
export interface Connected {
  readonly projectId: string
  readonly hookId: string
  readonly hookPath: string
  readonly secret: string
}

/** Writes the project and its hook, and the hook's fresh secret as a file: the database never holds it. */
export async function connectRepository(
  db: Db,
  secretsDir: string,
  repository: RepositoryToConnect,
): Promise<Connected> {
  const hookId = randomBytes(16).toString('hex')
  const secretName = `hook-${hookId}`
  const secret = randomBytes(32).toString('hex')
  await mkdir(secretsDir, { recursive: true, mode: 0o700 })
  await writeFile(join(secretsDir, secretName), secret, { mode: 0o600 })
  const projectId = await transaction(db, async (tx) => {
    const project = await tx
      .insertInto('projects')
      .values({
        provider: 'github',
        instance: repository.instance,
        repository_id: repository.repositoryId,
        full_name: repository.fullName,
        installation_id: repository.installationId,
        own_actor_id: repository.ownActorId,
        settings: '{}',
        ...(repository.maxActive !== undefined && { max_active: repository.maxActive }),
      })
      .returningAll()
      .executeTakeFirstOrThrow()
    const hook = await tx
      .insertInto('hooks')
      .values({
        id: hookId,
        provider: 'github',
        instance: repository.instance,
        project_id: project.id,
        secret_name: secretName,
      })
      .returningAll()
      .executeTakeFirstOrThrow()
    await emit(tx, 'local', {
      type: EVENT_TYPES.projectConnected,
      subject: `projects/${project.id}`,
      extensions: { provider: project.provider, project: project.id, repository: project.repository_id },
      data: { project: project.id },
      rows: { projects: [project], hooks: [hook] },
    })
    return project.id
  })
  return { projectId, hookId, hookPath: `/hooks/github/${hookId}`, secret }
}

/** Once the forge has made the hook: by its id there the router reads what the forge could not deliver. */
export async function rememberHook(db: Db, { hookId }: Connected, forgeHookId: string): Promise<void> {
  await db.insertInto('hook_checks').values({ hook_id: hookId, forge_hook_id: forgeHookId }).execute()
}

/** Every repository that was connected until now is so no more: nothing of it is accepted or started. */
export async function disconnectRepositories(db: Db): Promise<void> {
  await transaction(db, async (tx) => {
    const projects = await tx
      .updateTable('projects')
      .set({ state: 'disconnected' })
      .where('state', '=', 'connected')
      .returningAll()
      .execute()
    for (const project of projects)
      await emit(tx, 'local', {
        type: EVENT_TYPES.projectDisconnected,
        subject: `projects/${project.id}`,
        extensions: { provider: project.provider, project: project.id, repository: project.repository_id },
        data: { project: project.id },
        rows: { projects: [project] },
      })
  })
}
