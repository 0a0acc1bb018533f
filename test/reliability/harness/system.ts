import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { sql } from 'kysely'
import { freePort } from '../../../deploy/local/free-port.ts'
import { createLogins, withLogin } from '../../../deploy/local/logins.ts'
import { connect, type Db } from '#shared/db/connect.ts'
import type { Gates } from '#shared/workflow/gates.ts'
import { paced, type EditedFile } from '../../support/edited-source.ts'
import { killEverybody, type StartedJob } from './agents.ts'
import { bundleFunctions } from './bundles.ts'
import { startChild, type Child } from './child.ts'
import { startDatabase, type DatabaseServer } from './database.ts'
import { choosePorts, startFleet, type Ports, type Replica } from './fleet.ts'
import { SPEED, startHarnessForge, type HarnessForge } from './forge.ts'
import { startWire, type Wire } from './wire.ts'

const root = (path: string) => fileURLToPath(new URL(`../../../${path}`, import.meta.url))

/** What a system is made with. */
export interface SystemOptions {
  readonly seed: number
  readonly repositories: number
  /** Whether every run waits for somebody else's approval. */
  readonly isGated: boolean
  /** Replicas of each function. */
  readonly replicas: number
  /** Source files that say something else. */
  readonly edits: readonly EditedFile[]
  /** Statements that the database is changed with. */
  readonly statements: readonly string[]
  /** Where the forge's hooks deliver to. */
  readonly mailboxUrl: string
  readonly say: (line: string) => void
}

/** The running system with everything around it, each part a process of its own with its own memory. */
export interface System {
  /** For the harness itself, not through the wire. */
  readonly db: Db
  readonly database: DatabaseServer
  /** Between the functions and the database. */
  readonly wire: Wire
  readonly forge: HarnessForge
  readonly broker: Child
  readonly fleet: readonly Replica[]
  readonly ports: Ports
  /** Ids of the events that the broker has ever accepted. */
  accepted(): ReadonlySet<string>
  /** Processes of agents that really started. */
  jobs(): readonly StartedJob[]
  close(): Promise<void>
}

/** Somebody else with write access, by comment, label or API. */
const GATES: Gates = {
  dev: {
    users: [],
    permission: 'write',
    quorum: 1,
    excludeRequester: true,
    label: 'approve:dev',
    expiresAfterSeconds: 3_600,
  },
}

/** Starts database, forge, broker and functions. */
export async function startSystem(options: SystemOptions): Promise<System> {
  const folder = mkdtempSync(join(tmpdir(), 'codex-k8s-harness-'))
  // The database may run under another account, which has to get there.
  chmodSync(folder, 0o711)
  const jobs = join(folder, 'jobs')
  const remove = () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  const atExit = () => {
    killEverybody(jobs)
    remove()
  }
  process.once('exit', atExit)
  const closers: (() => unknown)[] = [remove, () => process.removeListener('exit', atExit)]
  const close = async () => {
    for (const closer of closers.splice(0).toReversed()) await closer()
  }
  try {
    const bundling = bundleFunctions(folder, [paced(SPEED), ...options.edits])
    // It is waited for further down, where its failure is told.
    bundling.catch(() => {})
    const database = await startDatabase(join(folder, 'database'))
    closers.push(() => database.close())
    const db = connect(database.url, { name: 'harness' })
    closers.push(() => db.destroy())
    for (const statement of options.statements) await sql.raw(statement).execute(db)
    const wire = await startWire(database.port)
    closers.push(() => wire.close())
    const logins = await createLogins(database.url)
    const databaseUrl = new URL(database.url)
    databaseUrl.port = String(wire.port)

    const forge = await startHarnessForge(
      folder,
      db,
      options.repositories,
      ({ hookPath }) => `${options.mailboxUrl}${hookPath}`,
    )
    closers.push(() => forge.close())

    const ports = await choosePorts(options.replicas)
    const journal = join(folder, 'broker.journal')
    writeFileSync(journal, '')
    const brokerPort = await freePort()
    const broker = await startChild({
      script: root('test/reliability/harness/broker-main.ts'),
      env: {
        PORT: String(brokerPort),
        SERVICES: JSON.stringify(ports),
        JOURNAL: journal,
        SEED: String(options.seed),
      },
      ready: /"ready":true/,
      say: options.say,
    })
    closers.push(() => broker.close())

    mkdirSync(jobs)
    const fleet = await startFleet(
      await bundling,
      {
        databaseUrl: withLogin(databaseUrl.href, logins.functions),
        auditDatabaseUrl: withLogin(databaseUrl.href, logins.audit),
        brokerUrl: `http://127.0.0.1:${brokerPort}/local/default`,
        forge: { url: forge.url, authDir: forge.authDir },
        secretsDir: join(folder, 'secrets'),
        model: { url: 'http://127.0.0.1:9', key: 'nobody-asks-the-model-here', names: [] },
        ...(options.isGated && { gates: GATES }),
        tokenKey: 'a key of the harness, long enough for anything',
        launcher: {
          directory: jobs,
          supervisor: root('functions/stage-dispatcher/supervise.ts'),
          command: [root('test/reliability/harness/agent.ts')],
          env: { PATH: process.env['PATH'] ?? '', SANDBOX: 'none' },
        },
        logLevel: 'info',
      },
      ports,
      options.say,
    )
    closers.push(() => Promise.all(fleet.map((replica) => replica.process.close())))
    const lines = (file: string) => (existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : [])
    return {
      db,
      database,
      wire,
      forge,
      broker,
      fleet,
      ports,
      accepted: () => new Set(lines(journal)),
      jobs: () => lines(join(jobs, 'ledger.jsonl')).map((line) => JSON.parse(line) as StartedJob),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}
