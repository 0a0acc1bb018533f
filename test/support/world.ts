import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inject, onTestFinished } from 'vitest'
import { freePort } from '../../deploy/local/free-port.ts'
import { rememberHook } from '#shared/project/connect.ts'
import { connectRepository } from '../../deploy/local/connect-repository.ts'
import { startBroker, type Broker } from '../../deploy/local/broker/broker.ts'
import type { SeedInput } from '../../deploy/local/forge/seed.ts'
import { FUNCTIONS, localUrl, type FunctionsOptions } from '../../deploy/local/functions.ts'
import { killProcesses } from '../../functions/stage-dispatcher/job-processes.ts'
import type { Db } from '#shared/db/connect.ts'
import { withLogin } from '../../deploy/local/logins.ts'
import { spawnNode, type NodeProcess } from './processes.ts'
import { startWorldForge, type ForgeEntry, type WorldForge } from './world-forge.ts'
import { comeToRest, expireLeases } from './world-rest.ts'

const root = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))

/** Key of the agents' tokens. */
export const TOKEN_KEY = 'a key of the test, long enough for anything'

/** What a world is made with. */
export interface WorldOptions {
  readonly db: Db
  readonly databaseUrl: string
  /** What the stub agent does; see stub-agent.ts. */
  readonly change?: object
  /** Where the first process of the functions is to die, once it was armed. */
  readonly crashPoint?: string
  readonly seed?: Partial<SeedInput>
  /** Gates before stages, by stage. */
  readonly gates?: FunctionsOptions['gates']
  /** Runs at a time; default 2. */
  readonly maxActive?: number
  /** The bundle with the functions, when it is not the ordinary one. */
  readonly functions?: string
  /** Root of the model's API; by default nobody answers there. */
  readonly modelUrl?: string
  readonly modelKey?: string
  /** Key of the agents' tokens, when it is not `TOKEN_KEY`. */
  readonly tokenKey?: string
  /** Who answers TokenReviews, and who is an admin of the staff API. */
  readonly staff?: FunctionsOptions['staff']
  /** The agent's script below `test/support/`, when it is not the ordinary stub. */
  readonly agent?: string
  /** Where spans go, if anybody wants them. */
  readonly collectorUrl?: string
  /** Default `warn`. */
  readonly logLevel?: FunctionsOptions['logLevel']
}

/** Forge, broker and functions around one database, with a connected repository `maria/shop`. */
export interface World {
  readonly broker: Broker
  readonly forgeUrl: string
  readonly projectId: string
  readonly hookUrl: string
  readonly hookSecret: string
  /** Where the functions find hooks' secrets, one file per name. */
  readonly secretsDir: string
  /** The process that runs the functions now. */
  functions(): NodeProcess
  /** Starts the functions again, perhaps to die at another crash point once that is armed. */
  restart(crashPoint?: string): Promise<void>
  /** Starts the functions of another bundle beside the ones that are there, on the same ports; both have to share them. */
  beside(bundle: string): Promise<NodeProcess>
  /** Starts the functions a second time, on ports of their own; from here on `url`, sweeps and the broker mean these. */
  another(): Promise<void>
  /** From here on the functions die at the crash point. */
  arm(): Promise<void>
  /** The address of a function. */
  url(name: string): string
  /** A REST call to the forge as a person, by default with write access. Throws on anything but 2xx. */
  readonly person: WorldForge['person']
  /** Opens an issue; returns its number. */
  issue(title?: string, body?: string): Promise<number>
  /** Sets a label as a person would. */
  label(issue: number, label?: string, token?: string): Promise<void>
  /** As if the time of every lease had passed: what a killed process held is free again. */
  expireLeases(): Promise<void>
  /** Lets the reconciler run until nothing is pending and no run is active; the broker holds nothing. */
  drain(): Promise<void>
  sweep(): Promise<void>
  forgeLedger(kind?: string): Promise<ForgeEntry[]>
  /** The folder that holds one folder per Job. */
  readonly jobs: string
  /** Processes that really started, one line each. */
  jobLedger(): { run: string; attempt: number; uid: string }[]
}

/** Builds a world; everything in it ends with the test. */
export async function startWorld(options: WorldOptions): Promise<World> {
  const { db } = options
  const folder = mkdtempSync(join(tmpdir(), 'world-'))
  chmodSync(folder, 0o711)
  onTestFinished(async () => {
    // Agents that hang, and what they started; each supervisor ends with its agent.
    await killProcesses(folder, undefined)
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  })
  let ports = await freePorts()
  const url = (name: string) => localUrl(ports, name)

  const forge = await startWorldForge(folder, options.seed)
  onTestFinished(() => forge.close())
  const { app, authDir, person } = forge
  const broker = await startBroker({
    eventing: new URL('../../eventing/', import.meta.url),
    resolve: url,
    backoffScale: 0.1,
  })
  onTestFinished(() => broker.stop())

  const repository = await person<{ id: number; full_name: string }>('GET', '/repos/maria/shop')
  const connected = await connectRepository(db, join(folder, 'secrets'), {
    instance: forge.url,
    repositoryId: String(repository.id),
    fullName: repository.full_name,
    installationId: app.installation,
    ownActorId: app.bot,
    ...(options.maxActive !== undefined && { maxActive: options.maxActive }),
  })
  const hookUrl = `${url('webhook-gateway')}${connected.hookPath}`

  const jobs = join(folder, 'jobs')
  const started = join(jobs, 'ledger.jsonl')
  const { logins } = inject('postgres')
  const functionsOptions: Omit<FunctionsOptions, 'ports'> = {
    databaseUrl: withLogin(options.databaseUrl, logins.functions),
    auditDatabaseUrl: withLogin(options.databaseUrl, logins.audit),
    brokerUrl: broker.url,
    forge: { url: forge.url, authDir },
    secretsDir: join(folder, 'secrets'),
    model: { url: options.modelUrl ?? 'http://127.0.0.1:9', key: options.modelKey ?? '', names: ['gpt-5.4-mini'] },
    tokenKey: options.tokenKey ?? TOKEN_KEY,
    ...(options.gates && { gates: options.gates }),
    ...(options.staff && { staff: options.staff }),
    launcher: {
      directory: jobs,
      supervisor: root('functions/stage-dispatcher/supervise.ts'),
      command: [process.execPath, root(`test/support/${options.agent ?? 'stub-agent.ts'}`)],
      env: { PATH: process.env['PATH'] ?? '', ...(options.change && { CHANGE: JSON.stringify(options.change) }) },
    },
    logLevel: options.logLevel ?? 'warn',
  }
  let functions: NodeProcess | undefined
  const start = async (crashPoint?: string, bundle = options.functions ?? inject('functions')) => {
    const env = {
      FUNCTIONS: JSON.stringify({ ...functionsOptions, ports }),
      ...(crashPoint !== undefined && { CRASH_POINT: crashPoint }),
      ...(options.collectorUrl !== undefined && { OTEL_EXPORTER_OTLP_ENDPOINT: options.collectorUrl }),
    }
    functions = spawnNode(bundle, { env })
    await functions.waitForLine(/"ready":true/)
    return functions
  }
  await start(options.crashPoint)
  const arm = async () => {
    process.kill(functions?.pid ?? 0, 'SIGUSR2')
    await functions?.waitForLine(/"armed":true/)
  }
  // Only now, so that the ping finds somebody.
  const hook = await person<{ id: number }>('POST', '/repos/maria/shop/hooks', {
    name: 'web',
    active: true,
    events: options.gates === undefined ? ['issues'] : ['issues', 'issue_comment'],
    config: { url: hookUrl, content_type: 'json', secret: connected.secret },
  })
  await rememberHook(db, connected, String(hook.id))

  const sweep = async () => void (await fetch(`${url('reconciler')}/sweep?grace=0`, { method: 'POST' }))
  return {
    broker,
    forgeUrl: forge.url,
    projectId: connected.projectId,
    hookUrl,
    hookSecret: connected.secret,
    secretsDir: join(folder, 'secrets'),
    functions: () => functions as NodeProcess,
    restart: async (crashPoint) => void (await start(crashPoint)),
    beside: (bundle) => start(undefined, bundle),
    async another() {
      ports = await freePorts()
      await start()
    },
    arm,
    url,
    person,
    async issue(title = 'Say hello', body = 'The program should say hello.') {
      const { number } = await person<{ number: number }>('POST', '/repos/maria/shop/issues', { title, body })
      return number
    },
    async label(issue, label = 'run:dev', token) {
      await person('POST', `/repos/maria/shop/issues/${issue}/labels`, { labels: [label] }, token)
    },
    sweep,
    expireLeases: () => expireLeases(db),
    drain: () => comeToRest({ db, broker, sweep, forge }),
    forgeLedger: forge.ledger,
    jobs,
    jobLedger: () =>
      existsSync(started)
        ? readFileSync(started, 'utf8')
            .trimEnd()
            .split('\n')
            .map((line) => JSON.parse(line))
        : [],
  }
}

async function freePorts(): Promise<FunctionsOptions['ports']> {
  const pairs = FUNCTIONS.map(async (name) => [name, await freePort()] as const)
  return Object.fromEntries(await Promise.all(pairs)) as FunctionsOptions['ports']
}
