import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startBroker, type Broker } from '../../deploy/local/broker/broker.ts'
import { freePort } from '../../deploy/local/free-port.ts'
import { FUNCTIONS, localUrl, type FunctionsOptions } from '../../deploy/local/functions.ts'
import { createLogins, withLogin } from '../../deploy/local/logins.ts'
import { startChild, type Child } from './child.ts'
import { startForgeWorld, TOKEN_KEY, type ForgeWorld } from './forge-world.ts'
import type { Ground } from './ground.ts'

const free = { burst: 1_000_000, everyMs: 1 }

/** The local stack as `npm start` runs it, but that all functions are a process of their own, to be measured. */
export interface LocalStack {
  readonly world: ForgeWorld
  readonly broker: Broker
  readonly functions: Child
  /** One folder per Job. */
  readonly jobs: string
  close(): Promise<void>
}

/** Between two rounds of the reconciler, seconds: as in `npm start`. */
export const SWEEP_SECONDS = 10

/** Starts forge, broker and functions, with an agent that only says when it came to life. */
export async function startLocalStack(ground: Ground): Promise<LocalStack> {
  const databaseUrl = await ground.database()
  const world = await startForgeWorld(ground, databaseUrl)
  const jobs = join(mkdtempSync(join(ground.folder, 'stack-')), 'jobs')
  const pairs = FUNCTIONS.map(async (name) => [name, await freePort()] as const)
  const ports = Object.fromEntries(await Promise.all(pairs)) as FunctionsOptions['ports']
  const broker = await startBroker({
    eventing: new URL('../../eventing/', import.meta.url),
    resolve: (name) => localUrl(ports, name),
    pingEverySeconds: SWEEP_SECONDS,
  })
  const script = (path: string) => fileURLToPath(new URL(path, import.meta.url))
  const logins = await createLogins(databaseUrl)
  const options: FunctionsOptions = {
    databaseUrl: withLogin(databaseUrl, logins.functions),
    auditDatabaseUrl: withLogin(databaseUrl, logins.audit),
    brokerUrl: broker.url,
    ports,
    // What the forge allows in a minute is no speed of ours.
    forge: { url: world.forgeUrl, authDir: world.authDir, rates: { points: free, minute: free, hour: free } },
    secretsDir: world.secretsDir,
    model: { url: 'http://127.0.0.1:9', key: '', names: ['gpt-5.4-mini'] },
    tokenKey: TOKEN_KEY,
    launcher: {
      directory: jobs,
      supervisor: script('../../functions/stage-dispatcher/supervise.ts'),
      command: [process.execPath, script('agent.mjs')],
      env: { PATH: process.env['PATH'] ?? '' },
    },
    logLevel: 'info',
  }
  const functions = await startChild(await ground.bundleAll(), {
    env: { FUNCTIONS: JSON.stringify(options) },
    until: /"ready":true/,
  })
  await world.hook(`${localUrl(ports, 'webhook-gateway')}${world.connected.hookPath}`)
  return {
    world,
    broker,
    functions,
    jobs,
    async close() {
      await functions.stop()
      await broker.stop()
      await world.close()
    },
  }
}
