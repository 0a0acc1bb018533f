import { kubectl, list } from '../../cluster/kubectl.ts'
import { NAMESPACE } from '../../cluster/platform.ts'
import { eventually } from '../../support/wait.ts'
import type { Section } from '../figures.ts'
import { walk } from '../walk.ts'
import { sendTo, STAFF } from './cold.ts'
import type { ClusterGround } from './ground.ts'

/** What a kubelet says of the pods of its node, as far as this looks into it. */
interface Summary {
  readonly pods: readonly {
    readonly podRef: { readonly name: string; readonly namespace: string }
    readonly containers?: readonly { readonly name: string; readonly memory?: Memory }[]
  }[]
}

interface Memory {
  readonly time: string
  /** What the kernel would not give up at once: what a limit is held against, bytes. */
  readonly workingSetBytes?: number
}

/** What each function's own container holds once it has handled an event, by the kubelet, beside a bare server's. */
export async function memory(ground: ClusterGround): Promise<Section> {
  const bare = ground.bare[0] ?? ''
  const names = [bare, ...ground.functions]
  const found = await ground.withoutBroker(async (way) => {
    await way.db.deleteFrom('forge_pace').execute()
    for (const step of [...(await walk(way)), STAFF]) {
      const asked = await step.ask()
      await ground.ask(step.name, step.status, asked)
      await step.after?.(sendTo(ground, step.name))
    }
    const since = Date.now()
    return eventually(
      async () => {
        // Whoever is not asked is gone before the kubelet looks.
        await Promise.all(names.map((name) => ground.ask(name, 200, { method: 'GET', path: '/readyz' })))
        const seen = await measured(ground, since)
        const missing = names.filter((name) => !seen.has(name))
        if (missing.length > 0) throw new Error(`nothing yet about ${missing.join(', ')}`)
        return seen
      },
      { what: "the kubelet's figures", timeoutMs: 120_000, everyMs: 2_000 },
    )
  })
  const floor = found.get(bare) ?? { own: 0, proxy: 0 }
  const megabytes = (bytes: number) => `${Math.round(bytes / 1e6)} MB`
  return {
    figures: ground.functions.map((name) => {
      const { own } = found.get(name) ?? floor
      return {
        name: `${name}: memory`,
        ours: megabytes(own),
        beside: `bare ${megabytes(floor.own)}`,
        ratio: own / floor.own,
      }
    }),
    notes: [
      `memory: working set of the function's container after one event; Knative's own beside it holds ${megabytes(floor.proxy)}`,
    ],
    data: Object.fromEntries(found),
  }
}

/** Bytes of each function's container and of Knative's beside it, where the kubelet has looked since then. */
async function measured(ground: ClusterGround, since: number): Promise<Map<string, { own: number; proxy: number }>> {
  const services = new Map(ground.pods.all().map(({ name, service }) => [name, service]))
  const found = new Map<string, { own: number; proxy: number }>()
  for (const { metadata } of await list('nodes')) {
    const path = `/api/v1/nodes/${metadata.name}/proxy/stats/summary`
    const { pods } = JSON.parse(await kubectl(['get', '--raw', path])) as Summary
    for (const { podRef, containers = [] } of pods) {
      const service = podRef.namespace === NAMESPACE ? services.get(podRef.name) : undefined
      const of = (name: string) => containers.find((each) => each.name === name)?.memory
      const [own, proxy] = [of('user-container'), of('queue-proxy')]
      if (service === undefined || own?.workingSetBytes === undefined || Date.parse(own.time) < since) continue
      found.set(service, { own: own.workingSetBytes, proxy: proxy?.workingSetBytes ?? 0 })
    }
  }
  return found
}
