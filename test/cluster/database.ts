import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startPostgres, type Postgres } from '../../deploy/local/postgres.ts'

/** A database server that pods reach, and that is started again whenever it dies, as a StatefulSet would do it. */
export interface Database {
  /** Of the owner, on the loopback address. */
  readonly url: string
  /** File whose first line is the server's process id: for whoever kills it. */
  readonly pidFile: string
  stop(): Promise<void>
}

/** Starts it on the loopback address and on `host`. */
export async function startDatabase(folder: string, host: string): Promise<Database> {
  const access = join(folder, 'pg_hba.conf')
  writeFileSync(access, 'host all all all scram-sha-256\n')
  const dataDir = join(folder, 'database')
  const options = {
    dataDir,
    durable: false,
    settings: {
      listen_addresses: `127.0.0.1,${host}`,
      hba_file: access,
      max_connections: '200',
      // What was committed survives a kill of the server. Only the machine's own crash may cost it: no fsync.
      synchronous_commit: 'on',
      // A statement whose client was killed ends soon, also where it waits for a lock.
      client_connection_check_interval: '500ms',
    },
  }
  let server: Postgres = await startPostgres(options)
  const { url, port } = server
  const keepUp = async (): Promise<void> => {
    await server.died
    server = await startPostgres({ ...options, port })
    return keepUp()
  }
  void keepUp()
  return { url, pidFile: join(dataDir, 'postmaster.pid'), stop: () => server.stop() }
}
