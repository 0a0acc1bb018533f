import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Db } from '#shared/db/connect.ts'

/** A repository to connect, as the forge knows it. */
export interface RepositoryToConnect {
  readonly instance: string
  readonly repositoryId: string
  readonly fullName: string
  readonly installationId: string | null
  /** Numeric id of the account that we act as. */
  readonly ownActorId: string
}

/** A connected repository: where the forge has to send its webhooks, and what it has to sign them with. */
export interface Connected {
  readonly projectId: string
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
  const { id: projectId } = await db
    .insertInto('projects')
    .values({
      provider: 'github',
      instance: repository.instance,
      repository_id: repository.repositoryId,
      full_name: repository.fullName,
      installation_id: repository.installationId,
      own_actor_id: repository.ownActorId,
      settings: '{}',
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  await db
    .insertInto('hooks')
    .values({
      id: hookId,
      provider: 'github',
      instance: repository.instance,
      project_id: projectId,
      secret_name: secretName,
    })
    .execute()
  return { projectId, hookPath: `/hooks/github/${hookId}`, secret }
}
