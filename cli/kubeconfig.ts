import { CoreV1Api, KubeConfig } from '@kubernetes/client-node'
import type { RequestOptions } from 'node:https'
import { Failure } from './failure.ts'
import { askCluster } from './ask-cluster.ts'

/** Which cluster, as kubectl's options of the same names say it. */
export interface ClusterOptions {
  readonly kubeconfig?: string
  readonly context?: string
}

/** Reads the kubeconfig: the file named, else `KUBECONFIG`, else `~/.kube/config`, else the pod's own. */
export function loadKubeconfig({ kubeconfig, context }: ClusterOptions): KubeConfig {
  const config = new KubeConfig()
  try {
    if (kubeconfig === undefined) config.loadFromDefault()
    else config.loadFromFile(kubeconfig)
  } catch (error) {
    throw new Failure(`the kubeconfig cannot be read: ${(error as Error).message}`)
  }
  if (context !== undefined) config.setCurrentContext(context)
  if (config.getCurrentCluster() === null)
    throw new Failure(
      context === undefined ? 'the kubeconfig has no current context' : `context "${context}" is not in the kubeconfig`,
      'See `kubectl config get-contexts`, and choose one with --context.',
    )
  return config
}

/** Audience of tokens that are made for staff-api only. */
const AUDIENCE = 'codex-k8s'

/** Seconds that a token made by `--as-service-account` is good: the shortest that Kubernetes gives. */
const TOKEN_SECONDS = 600

/**
 * The token that staff-api gets to know the person by: the kubeconfig's own (a token, or from its exec or OIDC provider), or a
 * fresh one of a service account, good for ten minutes and for nothing but staff-api. A client certificate proves nothing
 * to anybody but the API server, so its users need the latter.
 */
export async function bearerToken(config: KubeConfig, namespace: string, serviceAccount?: string): Promise<string> {
  if (serviceAccount !== undefined) return serviceAccountToken(config, namespace, serviceAccount)
  const options: RequestOptions = {}
  try {
    await config.applyToHTTPSOptions(options)
  } catch (error) {
    throw new Failure(`the kubeconfig's user cannot be used: ${(error as Error).message}`)
  }
  const { authorization, Authorization = authorization } = { ...(options.headers as Record<string, unknown>) }
  const [, token] = /^Bearer (\S+)$/i.exec(typeof Authorization === 'string' ? Authorization : '') ?? []
  if (token !== undefined) return token
  throw new Failure(
    'the kubeconfig has no token for this user, and staff-api takes no client certificates',
    'Use --as-service-account NAME with a service account that may use codex-k8s: see docs/operate.md.',
  )
}

async function serviceAccountToken(config: KubeConfig, platform: string, serviceAccount: string): Promise<string> {
  const [name = '', namespace = platform] = serviceAccount.split('/').toReversed()
  const answer = await askCluster(`a token for the service account ${namespace}/${name}`, () =>
    config.makeApiClient(CoreV1Api).createNamespacedServiceAccountToken({
      name,
      namespace,
      body: { spec: { audiences: [AUDIENCE], expirationSeconds: TOKEN_SECONDS } },
    }),
  )
  if (!answer.status?.token) throw new Failure(`the cluster made no token for ${namespace}/${name}`)
  return answer.status.token
}
