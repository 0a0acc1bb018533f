import { readFileSync } from 'node:fs'
import { freePort } from '../../../deploy/local/free-port.ts'
import { startPostgres, type Postgres } from '../../../deploy/local/postgres.ts'
import { migrate } from '#shared/db/migrate.ts'

/** A PostgreSQL of the harness's own, on one port, that can go away in both ways and come back. */
export interface DatabaseServer {
  readonly url: string
  readonly port: number
  /** `fast` lets backends roll back and says goodbye; `immediate` is a crash: the next start recovers from the log. */
  stop(how: 'fast' | 'immediate'): Promise<void>
  start(): Promise<void>
  close(): Promise<void>
}

/** Starts it with an empty, migrated database. */
export async function startDatabase(dataDir: string): Promise<DatabaseServer> {
  const options = {
    dataDir,
    port: await freePort(),
    durable: false,
    // A commit that was answered survives a crash of the server. Only the machine's own crash may cost it: no fsync.
    settings: { synchronous_commit: 'on', max_connections: '300' },
  }
  let server: Postgres | undefined = await startPostgres(options)
  const { url, port } = server
  await migrate(url)
  const stop = async (how: 'fast' | 'immediate') => {
    const stopping = server
    server = undefined
    if (stopping !== undefined && how === 'immediate') {
      process.kill(Number(readFileSync(`${dataDir}/postmaster.pid`, 'utf8').split('\n', 1)[0]), 'SIGQUIT')
      await stopping.died
    }
    await stopping?.stop()
  }
  return {
    url,
    port,
    stop,
    start: async () => void (server ??= await startPostgres(options)),
    close: () => stop('fast'),
  }
}
