import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { migrate } from '#shared/db/migrate.ts'
import { administer, databaseUrl } from './administer.ts'
import { startPostgres } from '../../deploy/local/postgres.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** The server all tests share, and the migrated database that they copy. */
    postgres: { readonly url: string; readonly template: string }
  }
}

/** Starts one PostgreSQL for the whole run, with one migrated database that each test copies. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = mkdtempSync(join(tmpdir(), 'codex-k8s-test-'))
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
  project.provide('postgres', { url: server.url, template })
  return async () => {
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}
