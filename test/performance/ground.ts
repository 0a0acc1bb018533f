import { randomUUID } from 'node:crypto'
import { chmodSync, closeSync, fdatasyncSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { migrate } from '#shared/db/migrate.ts'
import { bundle } from '../../deploy/bundle.ts'
import { units } from '../../deploy/units.ts'
import { startPostgres } from '../../deploy/local/postgres.ts'
import { administer, databaseUrl } from '../support/administer.ts'
import { FUNCTIONS_BUNDLE } from '../support/functions-bundle.ts'
import { quantile } from './figures.ts'

/** What was asked for on the command line. */
export interface Settings {
  /** Small sizes: shows that everything works, not how fast. */
  readonly quick: boolean
  /** A million rows where it is otherwise a hundred thousand. */
  readonly full: boolean
  /** A peer to fetch and to measure besides. */
  readonly peer?: string
}

/** What every section stands on. */
export interface Ground extends Settings {
  /** Removed at the end. */
  readonly folder: string
  /** Process id of the database server. */
  readonly postgres: number
  /** The server's log so far. */
  postgresLog(): string
  /** A fresh, migrated database. */
  database(): Promise<string>
  /** Path of a function's production bundle. */
  bundleOf(name: string): Promise<string>
  /** A script of the benchmark or a tool, bundled and minified as functions are. */
  bundleScript(name: string, entry: string): Promise<string>
  /** All functions in one process, as `npm start` runs them. */
  bundleAll(): Promise<string>
  /** The median of 50 small synchronous writes, milliseconds: what a commit waits for here. */
  readonly syncMs: number
  say(line: string): void
  close(): Promise<void>
}

const TEMPLATE = 'migrated'

/** Starts a durable PostgreSQL of the benchmark's own. */
export async function prepare(settings: Settings, say: (line: string) => void): Promise<Ground> {
  const folder = mkdtempSync(join(tmpdir(), 'codex-k8s-bench-'))
  // As root the server runs under another account, which has to get there.
  chmodSync(folder, 0o711)
  const dataDir = join(folder, 'data')
  const server = await startPostgres({ dataDir, settings: { max_connections: '200', log_line_prefix: 'app=%a ' } })
  await administer(server.url, `create database ${TEMPLATE}`)
  await migrate(databaseUrl(server.url, TEMPLATE))
  const made = new Map<string, Promise<string>>()
  const once = (name: string, make: () => Promise<string>) => {
    const path = made.get(name) ?? make()
    made.set(name, path)
    return path
  }
  return {
    ...settings,
    folder,
    postgres: Number(readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n')[0]),
    postgresLog: () => readFileSync(`${dataDir}.log`, 'utf8'),
    async database() {
      const name = `b_${randomUUID().replaceAll('-', '')}`
      await administer(server.url, `create database ${name} template ${TEMPLATE} strategy file_copy`)
      return databaseUrl(server.url, name)
    },
    bundleOf: (name) =>
      once(name, async () => {
        const unit = units().find((each) => each.name === name)
        if (unit === undefined) throw new Error(`no function ${name}`)
        await bundle(unit, join(folder, 'dist'))
        return join(folder, 'dist', name, 'main.js')
      }),
    bundleScript: (name, entry) =>
      once(name, async () => {
        const outfile = join(folder, `${name}.mjs`)
        await build({ ...FUNCTIONS_BUNDLE, entryPoints: [entry], outfile, minify: true })
        return outfile
      }),
    bundleAll: () =>
      once('all', async () => {
        const outfile = join(folder, 'functions.mjs')
        await build({ ...FUNCTIONS_BUNDLE, outfile })
        const workflow = readFileSync(new URL('../../shared/workflow/default.yaml', import.meta.url))
        writeAll(join(folder, 'default.yaml'), workflow)
        return outfile
      }),
    syncMs: measureSync(join(folder, 'sync')),
    say,
    async close() {
      await server.stop()
      rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
    },
  }
}

function writeAll(path: string, bytes: Buffer): void {
  const file = openSync(path, 'w')
  writeSync(file, bytes)
  closeSync(file)
}

function measureSync(path: string): number {
  const file = openSync(path, 'w')
  const times = Array.from({ length: 50 }, () => {
    const began = performance.now()
    writeSync(file, Buffer.alloc(8192))
    fdatasyncSync(file)
    return performance.now() - began
  })
  closeSync(file)
  return quantile(
    times.toSorted((a, b) => a - b),
    0.5,
  )
}
