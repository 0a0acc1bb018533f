import { join } from 'node:path'
import { TOKEN_KEY, type ForgeWorld } from './forge-world.ts'
import type { Elsewhere } from './servers.ts'

/** The environment of each function's process, as its Knative Service has it. */
export function environmentOf(
  name: string,
  world: ForgeWorld,
  elsewhere: Elsewhere,
  folder: string,
): Record<string, string> {
  const github = { GITHUB_URL: world.forgeUrl, FORGE_AUTH_DIR: world.authDir }
  const owners = ['label-router', 'approval-gate', 'stage-dispatcher', 'model-gateway', 'change-publisher']
  const urls = [...owners, 'status-reporter', 'audit-sink'].map((each) => [each, elsewhere.ownersUrl])
  const own: Record<string, Record<string, string>> = {
    'webhook-gateway': { SECRETS_DIR: world.secretsDir },
    'approval-gate': github,
    'label-router': { ...github, MODELS: 'gpt-5.4-mini' },
    'stage-dispatcher': {
      RUN_TOKEN_KEY: TOKEN_KEY,
      RUN_GATEWAY_URL: 'http://127.0.0.1:9',
      MODEL_GATEWAY_URL: 'http://127.0.0.1:9',
      LAUNCHER_DIR: join(folder, 'jobs'),
      // The Job is written and its supervisor started, but this one does nothing: only the dispatcher is measured.
      SUPERVISOR: join(import.meta.dirname, 'no-supervisor.mjs'),
      AGENT: 'none',
    },
    'run-gateway': { ...github, RUN_TOKEN_KEY: TOKEN_KEY, GIT_URL: world.forgeUrl },
    'model-gateway': { RUN_TOKEN_KEY: TOKEN_KEY, MODEL_URL: elsewhere.modelUrl, MODEL_KEY: 'any' },
    'change-publisher': github,
    'status-reporter': github,
    reconciler: { SERVICE_URLS: JSON.stringify(Object.fromEntries(urls)) },
  }
  const { databaseUrl: DATABASE_URL } = world
  return { PORT: '0', DATABASE_URL, BROKER_URL: elsewhere.brokerUrl, LOG_LEVEL: 'info', ...own[name] }
}
