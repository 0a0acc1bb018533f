import { spawn } from 'node:child_process'
import * as fs from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from './free-port.ts'
import { bornAt, createData, endOrphan, explain, openData, read } from './postgres-data.ts'
import { account, installedBinaries, reachableFolder } from './postgres-install.ts'

/** How to start PostgreSQL. */
export interface PostgresOptions {
  /** Made at the first start and kept. The password, the log and the owner's process id are beside it. */
  readonly dataDir: string
  /** Any free port when absent. */
  readonly port?: number
  readonly say?: (line: string) => void
  /** `false` gives up safety against a power cut for speed: for tests. */
  readonly durable?: boolean
  /** More server settings, such as `max_connections`. */
  readonly settings?: Readonly<Record<string, string>>
}

/** A running PostgreSQL. */
export interface Postgres {
  readonly url: string
  readonly port: number
  /** Resolves with one line when the server ended without having been asked to. */
  readonly died: Promise<string>
  stop(): Promise<void>
}

/** Starts a real PostgreSQL on the loopback address; errors are one line that says what to do. */
export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  const { say = () => {}, durable = true } = options
  const binaries = installedBinaries()
  fs.mkdirSync(dirname(options.dataDir), { recursive: true })
  const dataDir = reachableFolder(options.dataDir)
  if (dataDir !== options.dataDir && account) say(`the database is in ${dataDir}`)
  const password = fs.existsSync(dataDir) ? openData(dataDir) : createData(binaries, dataDir, durable, say)
  await endOrphan(dataDir, say)
  fs.writeFileSync(`${dataDir}.owner`, `${process.pid} ${bornAt(process.pid)}\n`)

  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort())
    const server = await launch(binaries, dataDir, { ...settings(port, durable), ...options.settings })
    if ('failure' in server) {
      const isBusy = server.failure.includes('Address already in use')
      if (isBusy && options.port) throw new Error(`port ${port} is in use: stop what uses it, or choose another port`)
      // A lost race for a free port, or the memory of killed backends that are not quite gone yet.
      if ((isBusy || server.failure.includes('still in use')) && attempt < 8) {
        await sleep(100 * attempt)
        continue
      }
      throw new Error(explain(server.failure, dataDir))
    }
    return { ...server, port, url: `postgres://postgres:${password}@127.0.0.1:${port}/postgres` }
  }
}

function settings(port: number, durable: boolean): Record<string, string> {
  const common = {
    port: String(port),
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    jit: 'off',
    timezone: 'UTC',
    log_timezone: 'UTC',
    // A statement that fails is its caller's news.
    log_min_messages: 'log',
  }
  return durable ? common : { ...common, fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }
}

async function launch(
  binaries: string,
  dataDir: string,
  values: Record<string, string>,
): Promise<{ failure: string } | Omit<Postgres, 'url' | 'port'>> {
  const log = fs.openSync(`${dataDir}.log`, 'w', 0o600)
  const args = ['-D', dataDir, ...Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`])]
  // A session of its own: Ctrl-C must not end the database before those that use it.
  const child = spawn(join(binaries, 'bin', 'postgres'), args, {
    ...account,
    cwd: '/',
    detached: true,
    stdio: ['ignore', log, log],
  })
  fs.closeSync(log)
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('exit', (code, signal) =>
      resolve(`the database server ended (${signal ?? `code ${code}`}), see ${dataDir}.log`),
    )
  })
  let hasEnded = false
  void ended.then(() => (hasEnded = true))
  const pidFile = join(dataDir, 'postmaster.pid')
  const isReady = () => {
    const lines = read(pidFile)?.split('\n')
    return Number(lines?.[0]) === child.pid && lines?.[7]?.startsWith('ready')
  }
  while (!hasEnded && !isReady()) await sleep(5)
  if (hasEnded) return { failure: read(`${dataDir}.log`) || (await ended) }

  const kill = () => child.kill('SIGINT')
  process.once('exit', kill)
  child.unref()
  let stopping = false
  return {
    died: new Promise((resolve) => void ended.then((line) => stopping || resolve(line))),
    async stop() {
      stopping = true
      process.removeListener('exit', kill)
      if (hasEnded) return
      child.ref()
      kill()
      const late = setTimeout(() => child.kill('SIGQUIT'), 10_000)
      await ended
      clearTimeout(late)
      fs.rmSync(`${dataDir}.owner`, { force: true })
    },
  }
}
