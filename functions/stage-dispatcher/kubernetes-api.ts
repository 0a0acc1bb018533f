import {
  ApiException,
  BatchV1Api,
  CoreV1Api,
  KubeConfig,
  Observable,
  type ConfigurationOptions,
  type RequestContext,
  type ResponseContext,
  type V1Job,
  type V1Pod,
  type V1Secret,
} from '@kubernetes/client-node'

/** How long one request to the API server may take, milliseconds. */
const REQUEST_MS = 10_000

/** How long connections are used again, milliseconds. */
const KEEP_MS = 60_000

/** What the API server answered. `unknown`: nothing, or nothing that can be read; what was asked for may be done or not. */
export type Answer<T> =
  | { readonly kind: 'ok'; readonly value: T }
  | Refusal
  | { readonly kind: 'unknown'; readonly why: string }

/** The API server said no. */
export interface Refusal {
  readonly kind: 'refused'
  readonly status: number
  /** For the log; it names what is in the cluster and is not for a comment. */
  readonly message: string
  /** How long it wants to be left alone, seconds. */
  readonly retryAfter?: number | undefined
}

/** The six requests that the launcher needs, and the rights that it has. */
export interface JobApi {
  createJob(namespace: string, job: V1Job): Promise<Answer<V1Job>>
  readJob(namespace: string, name: string): Promise<Answer<V1Job>>
  /** Deletes it and then its pods and its Secret, if it still has this uid. */
  deleteJob(namespace: string, name: string, uid: string): Promise<Answer<unknown>>
  podsOf(namespace: string, job: string): Promise<Answer<V1Pod[]>>
  createSecret(namespace: string, secret: V1Secret): Promise<Answer<unknown>>
}

/**
 * The API server by Kubernetes' own client: of the file KUBECONFIG names, of ~/.kube/config, or from inside a pod by
 * its service account. Its package is large, so this file is loaded when the first Job is asked for.
 */
export function jobApi(config: KubeConfig = fromSurroundings(), requestMs = REQUEST_MS): JobApi {
  const jobs = config.makeApiClient(BatchV1Api)
  const core = config.makeApiClient(CoreV1Api)
  const options = limitedTo(requestMs)
  return {
    createJob: (namespace, body) => ask(jobs.createNamespacedJob({ namespace, body }, options())),
    readJob: (namespace, name) => ask(jobs.readNamespacedJob({ namespace, name }, options())),
    deleteJob: (namespace, name, uid) => {
      const body = { propagationPolicy: 'Background', preconditions: { uid } }
      return ask(jobs.deleteNamespacedJob({ namespace, name, body }, options()))
    },
    podsOf: async (namespace, job) => {
      const labelSelector = `batch.kubernetes.io/job-name=${job}`
      const answer = await ask(core.listNamespacedPod({ namespace, labelSelector, limit: 10 }, options()))
      return answer.kind === 'ok' ? { kind: 'ok', value: answer.value.items } : answer
    },
    createSecret: (namespace, body) => ask(core.createNamespacedSecret({ namespace, body }, options())),
  }
}

function fromSurroundings(): KubeConfig {
  const config = new KubeConfig()
  config.loadFromDefault()
  return config
}

/**
 * Each request ends by itself, its answer's body included. The client makes a pool of connections for every request, which
 * would be a TLS handshake each; here one is used for a minute, so that a new certificate is seen in time.
 */
function limitedTo(requestMs: number): () => ConfigurationOptions {
  let kept: { readonly pool: ReturnType<RequestContext['getDispatcher']>; readonly until: number } | undefined
  const limit = (request: RequestContext) => {
    if (kept === undefined || kept.until < performance.now())
      kept = { pool: request.getDispatcher(), until: performance.now() + KEEP_MS }
    if (kept.pool !== undefined) request.setDispatcher(kept.pool)
    request.setSignal(AbortSignal.timeout(requestMs))
    return new Observable(Promise.resolve(request))
  }
  const asItIs = (response: ResponseContext) => new Observable(Promise.resolve(response))
  return () => ({ middleware: [{ pre: limit, post: asItIs }], middlewareMergeStrategy: 'append' })
}

async function ask<T>(request: Promise<T>): Promise<Answer<T>> {
  try {
    return { kind: 'ok', value: await request }
  } catch (error) {
    if (!(error instanceof ApiException)) return { kind: 'unknown', why: (error as Error).message }
    return {
      kind: 'refused',
      status: error.code,
      message: messageOf(error.body),
      retryAfter: secondsOf(error.headers['retry-after']),
    }
  }
}

/** Of the Status object that the API server sends; of anything else nothing. */
function messageOf(body: unknown): string {
  const status = typeof body === 'string' ? parsed(body) : body
  const message = (status as { message?: unknown } | null | undefined)?.message
  return typeof message === 'string' ? message.slice(0, 500) : ''
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function secondsOf(header: string | undefined): number | undefined {
  const seconds = Number(header)
  return header !== undefined && Number.isFinite(seconds) && seconds >= 0 ? Math.min(seconds, 3_600) : undefined
}
