import { kubectl } from '../../cluster/kubectl.ts'
import { NAMESPACE } from '../../cluster/platform.ts'
import { eventually } from '../../support/wait.ts'
import type { Ask } from '../ask.ts'
import { shown, spreadOf, type Section } from '../figures.ts'
import { walk, type Send, type Step } from '../walk.ts'
import type { ClusterGround } from './ground.ts'

/** One start from zero, milliseconds. */
interface Start {
  /** From the event to the end of its answer. */
  readonly answer: number
  /** From the event until there was a pod: activator, autoscaler, Deployment, ReplicaSet. */
  readonly pod: number
  /** From there until the process listened: scheduler, kubelet, network, container, Node. */
  readonly listening: number
  /** From there to the answer: probe, activator, the event itself. */
  readonly handled: number
}

/**
 * Every function from zero to its answer to one real event, one after the other, and in between a bare server in the same
 * place with the same resources. The way to a function is the broker's: through the ingress to Knative's activator.
 */
export async function cold(ground: ClusterGround): Promise<Section> {
  const rounds = ground.quick ? 1 : 5
  const samples = new Map<string, Start[]>()
  const keep = (name: string, start: Start) => samples.set(name, [...(samples.get(name) ?? []), start])
  await ground.withoutBroker(async (way) => {
    // The first round fills the machine's caches and is not counted.
    for (let round = 0; round <= rounds; round += 1) {
      await way.db.deleteFrom('forge_pace').execute()
      const steps = [...(await walk(way)), STAFF]
      await ground.atZero()
      for (const [index, step] of steps.entries()) {
        const asked = await step.ask()
        const [bare, each] = [ground.bare[index / 3], { ...asked, method: 'POST' as const }]
        const floor = bare === undefined ? undefined : await startOf(ground, bare, 202, each)
        const ours = await startOf(ground, step.name, step.status, asked)
        await step.after?.(sendTo(ground, step.name))
        if (round === 0) continue
        if (floor !== undefined) keep('bare', floor)
        keep(step.name, ours)
      }
      ground.say(`cold: round ${round} of ${rounds}`)
    }
  })
  const floors = samples.get('bare') ?? []
  samples.delete('bare')
  const floor = spreadOf(floors.map(({ answer }) => answer))
  return {
    figures: [...samples].map(([name, starts]) => {
      const ours = spreadOf(starts.map(({ answer }) => answer))
      return {
        name: `${name}: from zero, event to answer`,
        ours: shown(ours, ' ms'),
        beside: `bare ${shown(floor, ' ms')}`,
        ratio: ours.median / floor.median,
      }
    }),
    notes: [
      `cold start, where the time goes: bare ${legs(floors)}`,
      ...[...samples].map(([name, starts]) => `cold start of ${name}: ${legs(starts)}`),
    ],
    data: { bare: floors, functions: Object.fromEntries(samples) },
  }
}

/** Sends to a function that is there already. */
export function sendTo(ground: ClusterGround, service: string): Send {
  return (status, asked) => ground.ask(service, status, asked)
}

/** Somebody without a token asks the staff API: it needs nothing of a cluster, and no answer is shorter. */
export const STAFF: Step = {
  name: 'staff-api',
  status: 401,
  ask: () => Promise.resolve({ method: 'GET', path: '/v1/whoami' }),
}

async function startOf(ground: ClusterGround, service: string, status: number, asked: Ask): Promise<Start> {
  const { at, milliseconds } = await ground.ask(service, status, asked)
  const pod = await eventually(() => ground.pods.all().find((each) => each.service === service && each.since > at), {
    what: `a new pod of ${service}, which was to be at zero`,
  })
  const listening = await listensSince(pod.name)
  return {
    answer: milliseconds,
    pod: pod.since - at,
    listening: listening - pod.since,
    handled: at + milliseconds - listening,
  }
}

/** When the line came that says so, by the clock of the pod's node. */
async function listensSince(pod: string): Promise<number> {
  const args = ['logs', pod, '--namespace', NAMESPACE, '--container', 'user-container', '--timestamps']
  const line = (await kubectl(args)).split('\n').find((each) => each.includes('"listening"'))
  if (line === undefined) throw new Error(`${pod} does not say that it listens`)
  return Date.parse(line.slice(0, line.indexOf(' ')))
}

function legs(starts: readonly Start[]): string {
  const leg = (name: 'pod' | 'listening' | 'handled') => shown(spreadOf(starts.map((each) => each[name])), ' ms')
  return `to the pod object ${leg('pod')}, to the listening process ${leg('listening')}, to the answer ${leg('handled')}`
}
