import { CustomObjectsApi, type KubeConfig } from '@kubernetes/client-node'
import { askCluster, isStatus } from './ask-cluster.ts'
import { Failure } from './failure.ts'
import type { Check } from './ping.ts'

/** As far as we look at an object of Knative. */
interface Resource {
  readonly metadata: { readonly name: string }
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[]
  }
}

/** Kinds of Knative that codex-k8s is made of; each has to be there and ready. */
const kinds = [
  {
    name: 'functions',
    kind: 'Knative Service',
    group: 'serving.knative.dev',
    plural: 'services',
    look: 'kn service list',
  },
  { name: 'broker', kind: 'Broker', group: 'eventing.knative.dev', plural: 'brokers', look: 'kn broker list' },
  { name: 'triggers', kind: 'Trigger', group: 'eventing.knative.dev', plural: 'triggers', look: 'kn trigger list' },
  {
    name: 'clock',
    kind: 'PingSource',
    group: 'sources.knative.dev',
    plural: 'pingsources',
    look: 'kn source ping list',
  },
] as const

/** What the cluster says about the installation, asked with the person's own rights. */
export async function clusterChecks(config: KubeConfig, namespace: string): Promise<Check[]> {
  return Promise.all(kinds.map((each) => checkKind(config, namespace, each)))
}

async function checkKind(config: KubeConfig, namespace: string, what: (typeof kinds)[number]): Promise<Check> {
  const { name, kind, group, plural, look } = what
  try {
    const { items } = (await askCluster(`list of ${plural} in ${namespace}`, () =>
      config.makeApiClient(CustomObjectsApi).listNamespacedCustomObject({ group, version: 'v1', namespace, plural }),
    )) as { readonly items: readonly Resource[] }
    if (items.length === 0)
      return {
        name,
        status: 'failed',
        says: `no ${kind} in ${namespace}`,
        next: 'Is codex-k8s in another namespace (-n)? Else install or upgrade it: docs/install.md.',
      }
    const wrong = items.flatMap(({ metadata, status }) => {
      const ready = status?.conditions?.find(({ type }) => type === 'Ready')
      return ready?.status === 'True' ? [] : [`${metadata.name}: ${ready?.message || 'not ready yet'}`]
    })
    if (wrong.length === 0) return { name, status: 'ok', says: `${items.length} ready`, next: null }
    return { name, status: 'failed', says: wrong.join('; '), next: `See \`${look} -n ${namespace}\`.` }
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    const missing = isStatus(error, 404)
    const next = missing
      ? `Knative has no ${plural}.${group} here: docs/install.md says what to apply.`
      : (error.next ?? null)
    return { name, status: missing ? 'failed' : 'unknown', says: error.message, next }
  }
}
