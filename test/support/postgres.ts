import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { TestProject } from 'vitest/node'
import type { Logins } from '#shared/db/logins.ts'
import { migrate } from '#shared/db/migrate.ts'
import { administer, databaseUrl } from './administer.ts'
import { bornAt, endOrphan, read } from '../../deploy/local/postgres-data.ts'
import { createLogins } from '../../deploy/local/logins.ts'
import { startPostgres } from '../../deploy/local/postgres.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** The server all tests share, the migrated database that they copy, and who the functions are there. */
    postgres: { readonly url: string; readonly template: string; readonly logins: Logins }
  }
}

const prefix = 'codex-k8s-test-'

/** Starts one PostgreSQL for the whole run, with one migrated database that each test copies. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  await clearAway()
  const folder = mkdtempSync(join(tmpdir(), prefix))
  // As root the server runs under another account, which has to get there.
  chmodSync(folder, 0o711)
  const server = await startPostgres({
    dataDir: join(folder, 'data'),
    durable: false,
    settings: { max_connections: '300' },
  })
  const template = 'migrated'
  await administer(server.url, `create database ${template}`)
  await migrate(databaseUrl(server.url, template))
  const logins = await createLogins(databaseUrl(server.url, template))
  project.provide('postgres', { url: server.url, template, logins })
  return async () => {
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Ends what a killed test run left behind. */
async function clearAway(): Promise<void> {
  for (const name of readdirSync(tmpdir()).filter((each) => each.startsWith(prefix))) {
    const data = join(tmpdir(), name, 'data')
    const [pid, born] = (read(`${data}.owner`) ?? '').trim().split(' ')
    if (!pid || bornAt(Number(pid)) === born) continue
    await endOrphan(data, () => {})
    rmSync(dirname(data), { recursive: true, force: true })
  }
}
