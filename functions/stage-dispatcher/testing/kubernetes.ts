import { onTestFinished } from 'vitest'
import { quiet } from '#shared/edge/testing/post.ts'
import { RetryLater } from '#shared/errors.ts'
import { usualResources, type Place } from '../job-spec.ts'
import { jobApi } from '../kubernetes-api.ts'
import { kubernetesLauncher } from '../kubernetes-launcher.ts'
import { jobName } from '../job-name.ts'
import type { Created, Job, Launcher } from '../launcher.ts'
import { startApiServer, type ApiServer } from './api-server.ts'

/** How long a request of the launcher may take in tests, milliseconds. */
export const REQUEST_MS = 2_000

/** The installation that tests have. */
export const place: Place = {
  agentImage: 'registry.example/agent:1',
  runGatewayUrl: 'http://run-gateway.codex-k8s.svc.cluster.local',
  modelGatewayUrl: 'http://model-gateway.codex-k8s.svc.cluster.local',
  resources: usualResources,
}

/** The first attempt of a run. */
export function jobOf(run: string, more: Partial<Job> = {}): Job {
  return {
    name: jobName(run, 1),
    namespace: 'runs',
    run,
    attempt: 1,
    image: 'registry.example/shop:1',
    seconds: 600,
    silentSeconds: 60,
    tokens: { run: `run token of ${run}`, model: `model token of ${run}` },
    ...more,
  }
}

/** An API server, and launchers that share a clock, which goes on when one of them has to wait. */
export interface Cluster {
  readonly server: ApiServer
  readonly launcher: Launcher
  another(requestMs?: number): Launcher
  /** What was waited in all, seconds. */
  waited(): number
  /** Creates as a broker and a sweep do: again for as long as it is told to come later, at most so often. */
  createAtLast(job: Job, launcher?: Launcher, tries?: number): Promise<Created>
  /** As if so much time had passed, seconds. */
  pass(seconds: number): void
}

/** Ends with the test. */
export async function startCluster(own: Partial<Place> = {}): Promise<Cluster> {
  const server = await startApiServer()
  onTestFinished(() => server.close())
  let clock = 0
  const another = (requestMs = REQUEST_MS) =>
    kubernetesLauncher({
      place: { ...place, ...own },
      api: async () => jobApi(server.config, requestMs),
      log: quiet,
      now: () => clock * 1_000,
    })
  const first = another()
  return {
    server,
    launcher: first,
    another,
    waited: () => clock,
    pass: (seconds) => void (clock += seconds),
    async createAtLast(job, launcher = first, tries = 50) {
      for (let attempt = 1; ; attempt += 1) {
        try {
          const outcome = await launcher.create(job)
          if (outcome.kind !== 'held') return outcome
          clock += outcome.seconds
        } catch (error) {
          if (!(error instanceof RetryLater) || attempt === tries) throw error
          clock += error.seconds
        }
      }
    },
  }
}
