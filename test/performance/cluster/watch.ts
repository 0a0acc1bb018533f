import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { list } from '../../cluster/kubectl.ts'
import { eventually } from '../../support/wait.ts'

/** An object of the cluster, as it was when something happened to it. */
export interface Happened {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  readonly object: {
    readonly metadata: {
      readonly name: string
      readonly labels?: Readonly<Record<string, string>>
      readonly deletionTimestamp?: string
    }
  }
  /** When this process heard of it, milliseconds since 1970: the cluster's own times are whole seconds. */
  readonly at: number
}

/** Hears of everything that happens to the objects, what is there already first. */
export function watch(kind: string, namespace: string, hear: (happened: Happened) => void): { stop(): void } {
  const args = ['get', kind, '--namespace', namespace, '--watch', '--output-watch-events', '--output', 'json']
  const child = spawn(process.env['KUBECTL'] ?? 'kubectl', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let stopped = false
  // One event a line.
  createInterface({ input: child.stdout }).on('line', (line) => {
    const { type, object } = JSON.parse(line) as Omit<Happened, 'at'>
    hear({ type, object, at: Date.now() })
  })
  child.once('close', (code) => {
    if (stopped) return
    process.stderr.write(`the watch on ${kind} ended with status ${code}\n`)
    // As if somebody had stopped the benchmark: the cluster is left as it was found.
    process.kill(process.pid, 'SIGTERM')
  })
  return {
    stop() {
      stopped = true
      child.kill()
    },
  }
}

/** The pods of functions, as they come and go. */
export interface Pods {
  /** Everyone that is there, also who is going. */
  all(): readonly { readonly name: string; readonly service: string; readonly since: number; readonly going: boolean }[]
  stop(): void
}

/** Follows the pods of Knative Services in a namespace; resolves when it knows those that were there. */
export async function watchPods(namespace: string): Promise<Pods> {
  const pods = new Map<string, { name: string; service: string; since: number; going: boolean }>()
  const seen = new Set<string>()
  const { stop } = watch('pods', namespace, ({ type, object: { metadata }, at }) => {
    const { name, labels, deletionTimestamp } = metadata
    seen.add(name)
    const service = labels?.['serving.knative.dev/service']
    if (service === undefined) return
    if (type === 'DELETED') pods.delete(name)
    else pods.set(name, { name, service, since: pods.get(name)?.since ?? at, going: deletionTimestamp !== undefined })
  })
  const there = await list('pods', namespace)
  await eventually(() => there.every(({ metadata }) => seen.has(metadata.name)), { what: 'the watch on pods' })
  return { all: () => [...pods.values()], stop }
}
