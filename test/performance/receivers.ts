import { fileURLToPath } from 'node:url'
import { startChild, type Child } from './child.ts'
import type { Ground } from './ground.ts'
import { startProbot } from './probot.ts'

/** A receiver of webhooks under measurement, in a process of its own. */
export interface Receiver {
  readonly name: string
  readonly child: Child
  /** Where deliveries are sent. */
  readonly url: string
}

/** The one hook that all of them answer for. */
export interface Hook {
  readonly id: string
  readonly path: string
  readonly secretName: string
  readonly secret: string
  readonly secretsDir: string
  readonly repositoryId: string
}

const LISTENING = /"url":"([^"]+)".*"listening"/

/** Ours, the same without a database, the least that is durable, and the peer; each bundled in the same way. */
export async function startReceivers(
  ground: Ground,
  databaseUrl: string,
  brokerUrl: string,
  hook: Hook,
): Promise<Receiver[]> {
  const script = (name: string) =>
    ground.bundleScript(name, fileURLToPath(new URL(`receivers/${name}.ts`, import.meta.url)))
  const { path, secret: SECRET, secretsDir: SECRETS_DIR } = hook
  const start = async (name: string, bundle: string, env: Record<string, string>): Promise<Receiver> => {
    const child = await startChild(bundle, { env, until: LISTENING })
    return { name, child, url: `${(child.ready?.[1] ?? '').replace('localhost', '127.0.0.1')}${path}` }
  }
  const ours = { PORT: '0', DATABASE_URL: databaseUrl, BROKER_URL: brokerUrl, SECRETS_DIR }
  const memory = { SECRETS_DIR, SECRET_NAME: hook.secretName, HOOK_ID: hook.id, REPOSITORY_ID: hook.repositoryId }
  return [
    await start('webhook-gateway', await ground.bundleOf('webhook-gateway'), ours),
    await start('in-memory', await script('in-memory'), memory),
    await start('one-insert', await script('one-insert'), { DATABASE_URL: databaseUrl, SECRET }),
    await start('octokit', await script('octokit'), { SECRET, HOOK_PATH: path }),
    ...(ground.peer === 'probot' ? [await startProbot(ground, hook)] : []),
  ]
}
