import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { eventually } from '../support/wait.ts'
import { findIngress } from './door.ts'
import { hostAddress } from './host.ts'
import { loadImages, type Image } from './images.ts'
import { loadStubAgent } from './agent-image.ts'
import { list, notReady, type Resource } from './kubectl.ts'
import {
  apply,
  diagnosis,
  NAMESPACE,
  ON_RABBITMQ,
  removeNamespaces,
  render,
  RUNS_NAMESPACE,
  writeOverlay,
  writeRunsOverlay,
} from './platform.ts'
import { startWorld, TOKENS, type Repository, type RepositoryName, type World } from './world.ts'

/** The one installation that all files of a run share. */
export interface Installed {
  /** Folder of the overlay that was applied. */
  readonly overlay: string
  readonly images: readonly Image[]
  readonly ownerUrl: string
  readonly databasePid: string
  readonly forgeUrl: string
  readonly repositories: Readonly<Record<RepositoryName, Repository>>
}

declare module 'vitest' {
  // oxlint-disable-next-line typescript/consistent-type-definitions -- vitest's interface is extended
  interface ProvidedContext {
    installed: Installed
  }
}

/** Installs everything once for all test files. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { installed, stop } = await startInstallation()
  project.provide('installed', installed)
  return stop
}

/** Installs everything. What a run that was cut off has left is removed first. */
export async function startInstallation(): Promise<{ installed: Installed; world: World; stop(): Promise<void> }> {
  await removeNamespaces()
  const world = await startWorld()
  const stop = async () => {
    await removeNamespaces()
    await world.stop()
  }
  try {
    const images = await loadImages(join(world.folder, 'bundles'))
    const agentImage = await loadStubAgent(join(world.folder, 'agent'))
    const overlay = writeOverlay(join(world.folder, 'overlay'), {
      images,
      config: {
        githubUrl: world.forgeUrl,
        gitUrl: world.forgeUrl,
        runNamespaces: RUNS_NAMESPACE,
        agentImage,
        // What the stub needs: many fit beside each other.
        runResources: JSON.stringify({ cpu: '1', memory: '128Mi', storage: '128Mi' }),
      },
      secrets: {
        database: { url: world.databaseUrl, auditUrl: world.auditDatabaseUrl },
        hooks: world.hookSecrets,
        forge: { token: TOKENS.bot },
        'run-token': { key: world.runTokenKey },
        ...(ON_RABBITMQ && { rabbitmq: await rabbitmq() }),
      },
    })
    const [ingressNamespace = ''] = (await findIngress()).split('/')
    await apply(await render(writeRunsOverlay(join(world.folder, 'runs'), ingressNamespace)))
    await install(await render(overlay))
    const { ownerUrl, databasePid, forgeUrl, repositories } = world
    return { installed: { overlay, images, ownerUrl, databasePid, forgeUrl, repositories }, world, stop }
  } catch (error) {
    process.stderr.write(`${await diagnosis()}\n`)
    await stop()
    throw error
  }
}

async function install(resources: readonly Resource[]): Promise<void> {
  // Knative's webhook tries a pod of each Service in its namespace, Pod Security included: what that needs comes first.
  const first = resources.filter(({ kind }) => ['Namespace', 'ServiceAccount', 'ConfigMap', 'Secret'].includes(kind))
  await apply(first)
  const rest = resources.filter((resource) => !first.includes(resource))
  // Knative's webhooks are asked about each, and are away now and then on a busy machine.
  await eventually(() => apply(rest), { what: 'the API server to take everything', timeoutMs: 120_000, everyMs: 1_000 })
  await eventually(
    async () => {
      const waiting = notReady(await list('ksvc,broker,trigger,pingsource', NAMESPACE))
      if (waiting.length > 0) throw new Error(waiting.join('\n'))
      return true
    },
    { what: 'everything to be ready', timeoutMs: 180_000, everyMs: 1_000 },
  )
}

/** Where the broker's RabbitMQ is, as its controller and its pods reach it. */
async function rabbitmq(): Promise<Record<string, string>> {
  const uri = process.env['RABBITMQ_URI'] ?? `http://${await hostAddress()}:15672`
  return { uri, port: process.env['RABBITMQ_PORT'] ?? '5672', username: 'guest', password: 'guest' }
}
