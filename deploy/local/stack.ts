import { spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { createGitHub, type GitHub } from '#shared/forge/github/client.ts'
import { createLog } from '#shared/log.ts'
import { connect, type Db } from '#shared/db/connect.ts'
import { migrate } from '#shared/db/migrate.ts'
import type { ApprovalPolicy } from '#shared/job/bundle.ts'
import { prepareAgents } from './agent-place.ts'
import { startBroker } from './broker/broker.ts'
import { writeAs } from '#shared/outbox/deliver.ts'
import { disconnectProject } from '#shared/project/connect.ts'
import { freePort } from './free-port.ts'
import { startProcesses } from './function-processes.ts'
import { FUNCTIONS, localUrl, startFunctions, type FunctionName, type FunctionsOptions } from './functions.ts'
import { createLogins, withLogin } from './logins.ts'
import { startScriptedModel } from './model/server.ts'
import type { Options } from './options.ts'
import { startPostgres } from './postgres.ts'
import { startTokenReviews } from './token-review.ts'
import { takeState } from './state.ts'

/** Our App, as the forge tells it. */
interface ForgeApp {
  readonly id: number
  readonly privateKey: string
}

/** Everything that runs, and where. */
export interface Stack {
  readonly db: Db
  readonly databaseUrl: string
  readonly forgeUrl: string
  /** The forge as our App sees it. */
  readonly github: GitHub
  readonly secretsDir: string
  url(name: FunctionName): string
  /** Resolves with the reason when a part ended that should not have. */
  readonly broken: Promise<string>
  close(): Promise<void>
}

/** The person of the demonstration as somebody of a cluster: an admin of the staff API. */
export const STAFF = { user: 'maria', token: 'maria-cluster-token' }

/** Between two rounds of the reconciler, seconds. Knative's clock ticks every five minutes; nobody waits that long here. */
const SWEEP_SECONDS = 10

const anotherPort = 'choose another with npm start -- --port N'

/** The person of the demonstration, who owns the repositories. */
export const PERSON = { login: 'maria', token: 'maria-token' }

/** Who approves, with a gate: may write there, and has not asked. */
export const APPROVER = { login: 'jonas', token: 'jonas-token' }

/** One other person with write access, within an hour, by comment, label or API. */
const GATE: ApprovalPolicy = {
  users: [],
  permission: 'write',
  quorum: 1,
  excludeRequester: true,
  excludeAuthor: true,
  label: 'approve:dev',
  expiresAfterSeconds: 3_600,
}

/** Starts database, forge, model, broker and functions, in this order, and stops them in the other. */
export async function startStack(
  options: Options,
  say: (line: string) => void,
  logTo: { write(line: string): void },
): Promise<Stack> {
  const closers: (() => unknown)[] = []
  let breaks: (reason: string) => void = () => {}
  const broken = new Promise<string>((resolve) => (breaks = resolve))
  const close = async () => {
    for (const closer of closers.splice(0).toReversed()) await closer()
  }
  try {
    const state = takeState(options.home ?? fileURLToPath(new URL('../../.local', import.meta.url)))
    closers.push(state.release)
    const [launcher, database] = await Promise.all([
      prepareAgents(
        state.jobsDir,
        { realModel: options.model !== undefined, unsafeNoSandbox: options.unsafeNoSandbox },
        say,
      ),
      startPostgres({ dataDir: join(state.folder, 'database'), say }).then((started) => {
        closers.push(() => started.stop())
        void started.died.then(breaks)
        return started
      }),
    ])
    await migrate(database.url)
    const logins = await createLogins(database.url)
    const db = connect(database.url, { name: 'local' })
    closers.push(() => db.destroy())
    // The forge of an earlier start is gone, and its repositories with it.
    for (const { id } of await db.selectFrom('projects').select('id').where('state', '=', 'connected').execute())
      await writeAs(db, 'local', (writer) => disconnectProject(writer, id))

    const forge = await startForge(
      options.port === 0 ? await freePort() : options.port,
      join(state.folder, 'forge'),
      breaks,
    )
    closers.push(forge.close)
    const [app] = (await (await fetch(`${forge.url}/_forge/apps`)).json()) as ForgeApp[]
    if (app === undefined) throw new Error('the forge has no App')
    const authDir = join(state.folder, 'forge-auth')
    mkdirSync(authDir, { recursive: true, mode: 0o700 })
    writeFileSync(join(authDir, 'app-id'), String(app.id), { mode: 0o600 })
    writeFileSync(join(authDir, 'private-key.pem'), app.privateKey, { mode: 0o600 })

    const ports = await choosePorts(options.port === 0 ? 0 : options.port + 1)
    const broker = await startBroker({
      eventing: new URL('../../eventing/', import.meta.url),
      resolve: (name) => localUrl(ports, name),
      pingEverySeconds: SWEEP_SECONDS,
    })
    closers.push(() => broker.stop())
    const reviews = await startTokenReviews({ [STAFF.token]: { user: STAFF.user } })
    closers.push(() => reviews.close())
    const functions: FunctionsOptions = {
      databaseUrl: withLogin(database.url, logins.functions),
      auditDatabaseUrl: withLogin(database.url, logins.audit),
      brokerUrl: broker.url,
      ports,
      forge: { url: forge.url, authDir },
      secretsDir: state.secretsDir,
      model: await startModel(options, closers),
      tokenKey: state.tokenKey,
      staff: { kubernetesUrl: reviews.url, admins: [`user:${STAFF.user}`] },
      ...(options.gate && { gates: { dev: GATE } }),
      launcher,
      logLevel: 'info',
    }
    const running = options.processes
      ? await startProcesses(functions, logTo, breaks)
      : await startFunctions(functions, logTo)
    closers.push(() => running.close())
    const auth = { kind: 'app', appId: String(app.id), privateKey: app.privateKey } as const
    const github = createGitHub({ instance: forge.url, auth, log: createLog('local', 'silent') })
    return {
      db,
      databaseUrl: database.url,
      forgeUrl: forge.url,
      github,
      secretsDir: state.secretsDir,
      url: (name) => localUrl(ports, name),
      broken,
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

async function startModel({ model }: Options, closers: (() => unknown)[]): Promise<FunctionsOptions['model']> {
  if (model !== undefined)
    return { url: model.url, key: model.key, names: [], ...(model.name !== undefined && { name: model.name }) }
  const scripted = await startScriptedModel({ port: 0 })
  closers.push(() => scripted.close())
  return { url: `${scripted.url}/v1`, key: 'the-scripted-model-takes-any', names: [] }
}

/** The forge is a process of its own, so that nothing that happens to us changes what it saw. */
async function startForge(
  port: number,
  data: string,
  broken: (reason: string) => void,
): Promise<{ url: string; close(): Promise<unknown> }> {
  mkdirSync(data, { recursive: true })
  const seed = { users: [PERSON, APPROVER], app: { app_id: 1, slug: 'codex-k8s', repositories: [] } }
  const child = spawn(process.execPath, [fileURLToPath(new URL('forge/main.ts', import.meta.url))], {
    env: { PATH: process.env['PATH'] ?? '', PORT: String(port), FORGE_DATA: data, FORGE_SEED: JSON.stringify(seed) },
    stdio: ['ignore', 'pipe', 'pipe'],
    // Ctrl-C is for us: we stop it when nobody talks to it any more.
    detached: true,
  })
  const ended = new Promise<string>((resolve) =>
    child.once('exit', (code, signal) => resolve(`the forge ended (${signal ?? `status ${code}`})`)),
  )
  let problem = ''
  createInterface({ input: child.stderr }).on('line', (line) => (problem ||= line))
  const ready = new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).on(
      'line',
      (line) => line.includes('"ready":true') && resolve((JSON.parse(line) as { url: string }).url),
    )
    void ended.then((reason) =>
      reject(new Error(problem.includes('in use') ? `port ${port} is in use: ${anotherPort}` : problem || reason)),
    )
  })
  const url = await ready
  let closing = false
  void ended.then((reason) => closing || broken(reason))
  return {
    url,
    close() {
      closing = true
      child.kill('SIGTERM')
      return ended
    },
  }
}

/** The webhook gateway is where it was said, the others where there is room. */
async function choosePorts(gateway: number): Promise<FunctionsOptions['ports']> {
  const chosen = FUNCTIONS.map(
    async (name) => [name, await freePort(name === 'webhook-gateway' ? gateway : 0)] as const,
  )
  try {
    return Object.fromEntries(await Promise.all(chosen)) as FunctionsOptions['ports']
  } catch (error) {
    throw new Error(`${(error as Error).message}: ${anotherPort}`, { cause: error })
  }
}
