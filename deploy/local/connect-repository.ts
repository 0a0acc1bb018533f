import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Db } from '#shared/db/connect.ts'
import { writeAs } from '#shared/outbox/deliver.ts'
import { connectProject, hookPath, type Repository } from '#shared/project/connect.ts'

/** A connected repository: where the forge has to send its webhooks, and what it has to sign them with. */
export interface Connected {
  readonly projectId: string
  readonly hookId: string
  readonly hookPath: string
  readonly secretName: string
  readonly secret: string
}

/** Writes the project and its hook, and the hook's fresh secret as a file: the database never holds it. */
export async function connectRepository(db: Db, secretsDir: string, repository: Repository): Promise<Connected> {
  const secretName = `hook-${randomBytes(16).toString('hex')}`
  const secret = randomBytes(32).toString('hex')
  await mkdir(secretsDir, { recursive: true, mode: 0o700 })
  await writeFile(join(secretsDir, secretName), secret, { mode: 0o600 })
  const { result } = await writeAs(db, 'local', (writer) => connectProject(writer, repository, [secretName]))
  const { projectId, hookId } = result
  return { projectId, hookId, hookPath: hookPath(hookId), secretName, secret }
}
