import {
  CoreV1Api,
  CustomObjectsApi,
  DiscoveryV1Api,
  PortForward,
  type KubeConfig,
  type V1EndpointSlice,
} from '@kubernetes/client-node'
import { duplexPair, type Duplex } from 'node:stream'
import { askCluster, causeOf } from './ask-cluster.ts'
import { Failure } from './failure.ts'

/** How requests get to staff-api: where they are for, and a connection for each. */
export interface Route {
  /** Root of the API; its host is what the ingress goes by. */
  readonly url: URL
  /** Absent: by the network. */
  readonly connect?: () => Promise<Duplex>
}

/** As far as we look at a Knative Service. */
interface KnativeService {
  readonly status?: {
    readonly address?: { readonly url?: string }
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[]
  }
}

/** As far as we look at what Knative tells every ingress, whichever it is, and what that answers. */
interface KnativeIngress {
  readonly status?: {
    readonly privateLoadBalancer?: { readonly ingress?: readonly { readonly domainInternal?: string }[] }
  }
}

const SERVICE = 'staff-api'

/**
 * The way from a laptop to staff-api, which is cluster-local and mostly at zero: through a port-forward to Knative's private
 * ingress, which wakes it. Knative's own Ingress object says which Service that is, so any ingress class will do. The
 * bytes go through the API server; nothing listens on this machine.
 */
export async function routeThroughCluster(config: KubeConfig, namespace: string): Promise<Route> {
  const custom = config.makeApiClient(CustomObjectsApi)
  const service = (await askCluster(`the Knative Service ${namespace}/${SERVICE}`, () =>
    custom.getNamespacedCustomObject({
      group: 'serving.knative.dev',
      version: 'v1',
      namespace,
      plural: 'services',
      name: SERVICE,
    }),
  )) as KnativeService
  const url = service.status?.address?.url
  const ready = service.status?.conditions?.find(({ type }) => type === 'Ready')
  if (url === undefined || ready?.status !== 'True')
    throw new Failure(
      `staff-api in namespace ${namespace} is not ready: ${ready?.message ?? 'Knative has said nothing about it yet'}`,
      `See \`kn service describe ${SERVICE} -n ${namespace}\`.`,
    )
  const ingress = (await askCluster(`Knative's ingress for ${namespace}/${SERVICE}`, () =>
    custom.getNamespacedCustomObject({
      group: 'networking.internal.knative.dev',
      version: 'v1alpha1',
      namespace,
      plural: 'ingresses',
      name: SERVICE,
    }),
  )) as KnativeIngress
  const domain = ingress.status?.privateLoadBalancer?.ingress?.find(
    ({ domainInternal }) => domainInternal,
  )?.domainInternal
  const [, name, ingressNamespace] = /^([a-z0-9-]+)\.([a-z0-9-]+)\.svc(\.|$)/.exec(domain ?? '') ?? []
  if (name === undefined || ingressNamespace === undefined)
    throw new Failure(
      `Knative does not say which Service its private ingress is (${domain ?? 'only a mesh'})`,
      'Use --server URL with an address of staff-api that you can reach.',
    )
  const { pod, port } = await readyPod(config, ingressNamespace, name)
  // Behind the ingress it is HTTP: whoever may forward ports is inside the cluster.
  return { url: new URL(url.replace(/^https:/, 'http:')), connect: () => forward(config, ingressNamespace, pod, port) }
}

/** A pod behind a Service that is ready, and the port there that stands for HTTP. */
async function readyPod(config: KubeConfig, namespace: string, name: string): Promise<{ pod: string; port: number }> {
  const { spec } = await askCluster(`the Service ${namespace}/${name}`, () =>
    config.makeApiClient(CoreV1Api).readNamespacedService({ namespace, name }),
  )
  const http = spec?.ports?.find(({ port }) => port === 80)
  const { items } = await askCluster(`the endpoints of ${namespace}/${name}`, () =>
    config
      .makeApiClient(DiscoveryV1Api)
      .listNamespacedEndpointSlice({ namespace, labelSelector: `kubernetes.io/service-name=${name}` }),
  )
  for (const { endpoints, ports } of items as readonly V1EndpointSlice[]) {
    const port = ports?.find((each) => (each.name ?? '') === (http?.name ?? ''))?.port
    const ready = endpoints?.find(
      ({ conditions, targetRef }) => conditions?.ready !== false && targetRef?.kind === 'Pod',
    )
    const pod = ready?.targetRef?.name
    if (http !== undefined && port !== undefined && pod !== undefined) return { pod, port }
  }
  throw new Failure(
    `no pod of Knative's ingress ${namespace}/${name} is ready for HTTP`,
    `See \`kubectl get pods -n ${namespace}\`.`,
  )
}

/** One connection to a pod, through the API server. */
async function forward(config: KubeConfig, namespace: string, pod: string, port: number): Promise<Duplex> {
  const [near, far] = duplexPair()
  try {
    const socket = await new PortForward(config).portForward(namespace, pod, [port], far, null, far)
    if (typeof socket === 'function') throw new Error('no connection was made')
    socket.on('close', () => far.end())
    socket.on('error', (error) => near.destroy(error))
    // Ended by us when the answer is read, or broken off.
    near.once('finish', () => socket.close()).once('close', () => socket.close())
  } catch (error) {
    throw new Failure(
      `no port can be forwarded to the pod ${namespace}/${pod}: ${causeOf(error)}`,
      `It takes the right to \`get\` and \`create\` \`pods/portforward\` in ${namespace}; or use --server URL.`,
    )
  }
  return near
}
