import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'

const command = process.env['KUBECTL'] ?? 'kubectl'

/** A Kubernetes object, as far as the tests look into it. */
export interface Resource {
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly annotations?: Readonly<Record<string, string>>
  }
  /** Of an event: what it is about. */
  readonly involvedObject?: { readonly name: string }
  readonly spec?: Readonly<Record<string, unknown>>
  readonly status?: {
    readonly phase?: string
    readonly url?: string
    readonly addresses?: readonly { readonly type: string; readonly address: string }[]
    /** Of a node. */
    readonly images?: readonly { readonly names: readonly string[] | null }[]
    /** Of a pod. */
    readonly containerStatuses?: readonly {
      readonly state: Readonly<Partial<Record<'waiting' | 'terminated', { readonly reason: string }>>>
    }[]
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[]
  }
}

/** Runs kubectl; what it prints. Fails with what it says on stderr. */
export async function kubectl(args: readonly string[], input = ''): Promise<string> {
  const child = spawn(command, args, { stdio: 'pipe' })
  // A kubectl that ends before it has read its input says why on stderr.
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const code = new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve))
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)])
  if ((await code) !== 0) throw new Error(`kubectl ${args.join(' ')}: ${err.trim()}`)
  return out
}

/** The objects of a kind, in a namespace or everywhere. */
export async function list(kind: string, namespace?: string, ...more: readonly string[]): Promise<Resource[]> {
  const where = namespace === undefined ? ['--all-namespaces'] : ['--namespace', namespace]
  const { items } = JSON.parse(await kubectl(['get', kind, ...where, ...more, '--output', 'json'])) as {
    items: Resource[]
  }
  return items
}

/** Names of the objects that are not Ready, each with why. */
export function notReady(resources: readonly Resource[]): string[] {
  return resources.flatMap(({ kind, metadata, status }) => {
    const ready = status?.conditions?.find(({ type }) => type === 'Ready')
    return ready?.status === 'True' ? [] : [`${kind} ${metadata.name}: ${ready?.message ?? 'no condition yet'}`]
  })
}

/** A door to a Service or a pod of the cluster, named as kubectl does, that works wherever kubectl does. */
export async function portForward(
  namespace: string,
  target: `service/${string}` | `pod/${string}`,
  port: number,
): Promise<{ port: number; stop(): void }> {
  const args = ['--namespace', namespace, 'port-forward', target, `:${port}`, '--address', '127.0.0.1']
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const said: string[] = []
  const local = await new Promise<number>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        said.push(line)
        const match = /^Forwarding from 127\.0\.0\.1:(\d+)/.exec(line)
        if (match) resolve(Number(match[1]))
      })
    }
    child.once('error', reject).once('close', () => reject(new Error(`kubectl port-forward ended: ${said.join('; ')}`)))
  })
  return { port: local, stop: () => void child.kill() }
}
