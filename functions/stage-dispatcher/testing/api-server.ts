import { KubeConfig, type V1Job, type V1Pod, type V1Secret } from '@kubernetes/client-node'
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { setTimeout as pause } from 'node:timers/promises'

/**
 * What goes wrong with one request. `applied` says whether it takes effect all the same: a 500, a connection that breaks and an
 * answer that is cut off look alike to the client either way.
 */
export type Fault =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'status'
      readonly status: number
      readonly retryAfter?: number
      readonly message?: string
      readonly applied?: boolean
    }
  | { readonly kind: 'reset'; readonly applied: boolean }
  | { readonly kind: 'cut'; readonly applied: boolean }
  /** Takes effect and is answered so much later, milliseconds, whoever still waits. */
  | { readonly kind: 'late'; readonly ms: number }

/** Something that became true at the server. */
export interface Effect {
  readonly verb: 'create' | 'delete'
  readonly kind: 'Job' | 'Secret'
  readonly namespace: string
  readonly name: string
  readonly uid: string
}

/** A Kubernetes API server as far as Jobs go. */
export interface ApiServer {
  readonly config: KubeConfig
  /** Taken by the requests in the order of their arrival; none left: nothing goes wrong. */
  readonly faults: Fault[]
  /** What became true, in order: the server's own ledger. */
  readonly effects: Effect[]
  /** `POST /apis/batch/v1/...`, in order, whatever came of it. */
  readonly requests: string[]
  readonly jobs: Map<string, V1Job>
  readonly secrets: Map<string, V1Secret>
  readonly pods: Map<string, V1Pod[]>
  /** Somebody else's work, or a controller's: the Job's status. */
  report(name: string, status: V1Job['status'], pods?: V1Pod[]): void
  close(): Promise<void>
}

type Answer = { readonly status: number; readonly body: object }

/** Starts empty, on a port of its own. Names are enough in here: no test has one name in two namespaces. */
export async function startApiServer(): Promise<ApiServer> {
  const jobs = new Map<string, V1Job>()
  const secrets = new Map<string, V1Secret>()
  const pods = new Map<string, V1Pod[]>()
  const [faults, effects, requests]: [Fault[], Effect[], string[]] = [[], [], []]
  let version = 0

  const stored = <T extends V1Job | V1Secret>(into: Map<string, T>, sent: T, namespace: string): Answer => {
    const name = sent.metadata?.name ?? ''
    if (into.has(name)) return refuse(409, 'AlreadyExists', `"${name}" already exists`)
    version += 1
    const kind = sent.kind as Effect['kind']
    const uid = randomUUID()
    Object.assign(sent.metadata ?? {}, { namespace, uid, resourceVersion: String(version) })
    into.set(name, sent)
    effects.push({ verb: 'create', kind, namespace, name, uid })
    return { status: 201, body: sent }
  }

  const removed = (name: string, namespace: string, uid: string | undefined): Answer => {
    const job = jobs.get(name)
    if (job === undefined) return refuse(404, 'NotFound', `jobs.batch "${name}" not found`)
    const own = job.metadata?.uid ?? ''
    if (uid !== undefined && uid !== own) return refuse(409, 'Conflict', 'the UID in the precondition does not match')
    jobs.delete(name)
    pods.delete(name)
    effects.push({ verb: 'delete', kind: 'Job', namespace, name, uid: own })
    if (secrets.get(name)?.metadata?.ownerReferences?.[0]?.uid === own) secrets.delete(name)
    return { status: 200, body: { kind: 'Status', apiVersion: 'v1', status: 'Success' } }
  }

  const handle = (method: string, url: URL, body: unknown): Answer => {
    const [, namespace = '', kind = '', name = ''] =
      /^\/(?:api|apis\/batch)\/v1\/namespaces\/([^/]+)\/([^/]+)(?:\/([^/]+))?$/.exec(url.pathname) ?? []
    if (method === 'POST' && kind === 'jobs') return stored(jobs, body as V1Job, namespace)
    if (method === 'POST' && kind === 'secrets') return stored(secrets, body as V1Secret, namespace)
    if (method === 'DELETE' && kind === 'jobs')
      return removed(name, namespace, (body as { preconditions?: { uid?: string } }).preconditions?.uid)
    if (method === 'GET' && kind === 'pods') {
      const [, job = ''] =
        /^batch\.kubernetes\.io\/job-name=(.+)$/.exec(url.searchParams.get('labelSelector') ?? '') ?? []
      return { status: 200, body: { kind: 'PodList', apiVersion: 'v1', items: pods.get(job) ?? [] } }
    }
    const job = method === 'GET' && kind === 'jobs' ? jobs.get(name) : undefined
    return job === undefined ? refuse(404, 'NotFound', `${kind} "${name}" not found`) : { status: 200, body: job }
  }

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '', 'http://server')
    const method = request.method ?? ''
    requests.push(`${method} ${url.pathname}`)
    const body = method === 'GET' ? undefined : await json(request)
    const fault = faults.shift() ?? { kind: 'none' }
    if (fault.kind === 'late') await pause(fault.ms)
    const applied = fault.kind === 'none' || fault.kind === 'late' || fault.applied === true
    const answer = applied ? handle(method, url, body) : refuse(500, 'InternalError', 'not applied')
    if (fault.kind === 'reset') return void request.socket.destroy()
    if (fault.kind === 'status') {
      const { status, retryAfter, message = 'said the test' } = fault
      if (retryAfter !== undefined) response.setHeader('retry-after', String(retryAfter))
      return send(response, refuse(status, 'Fault', message))
    }
    if (fault.kind === 'cut') {
      response.writeHead(answer.status, { 'content-type': 'application/json', 'content-length': 1_000_000 })
      response.write(JSON.stringify(answer.body).slice(0, 20), () => request.socket.destroy())
      return
    }
    send(response, answer)
  }

  const server = createServer(
    (request, response) => void serve(request, response).catch(() => request.socket.destroy()),
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const config = new KubeConfig()
  config.loadFromClusterAndUser(
    { name: 'fake', server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, skipTLSVerify: true },
    { name: 'dispatcher' },
  )
  return {
    config,
    faults,
    effects,
    requests,
    jobs,
    secrets,
    pods,
    report(name, status, itsPods) {
      const job = jobs.get(name)
      if (job === undefined) throw new Error(`there is no Job ${name}`)
      Object.assign(job, { status })
      if (itsPods !== undefined) pods.set(name, itsPods)
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function refuse(status: number, reason: string, message: string): Answer {
  return { status, body: { kind: 'Status', apiVersion: 'v1', status: 'Failure', code: status, reason, message } }
}

function send(response: ServerResponse, { status, body }: Answer): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body))
}
