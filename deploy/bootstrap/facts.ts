import { getAll, KubectlError, type Kubectl, type Resource } from './kubectl.ts'
import type { Config } from './config.ts'
import type { ForeignNamespace } from './installation.ts'

/** What the checks know of the cluster. Versions are as their owners write them. */
export interface Facts {
  readonly kubectl: string
  readonly server: string
  /** Undefined: not installed. */
  readonly serving: string | undefined
  readonly eventing: string | undefined
  readonly ingressClass: string | undefined
  readonly hasBrokerClass: boolean
  /** Class of the broker that is there from an earlier installation. */
  readonly liveBrokerClass: string | undefined
  readonly storageClasses: readonly { readonly name: string; readonly isDefault: boolean }[]
  /** Namespaces of ours that somebody else made. */
  readonly foreignNamespaces: readonly ForeignNamespace[]
  /** Rights that the API server denies, as `verb resource.group (in namespace)`. */
  readonly denied: readonly string[]
  readonly images: { readonly file: string; readonly missing: readonly string[] }
}

const servingCrd = 'services.serving.knative.dev'
const brokerCrd = 'brokers.eventing.knative.dev'
const classCrds = {
  MTChannelBasedBroker: 'channels.messaging.knative.dev',
  RabbitMQBroker: 'rabbitmqbrokerconfigs.eventing.knative.dev',
  Kafka: 'kafkachannels.messaging.knative.dev',
} as const

/** Asks the cluster for all of it at once. What we may not look at counts as not there, but for the versions. */
export async function gather(
  kubectl: Kubectl,
  config: Config,
  rendered: readonly Resource[],
): Promise<Omit<Facts, 'images' | 'foreignNamespaces'>> {
  const versions = JSON.parse(await kubectl(['version', '--output', 'json'])) as {
    clientVersion?: { gitVersion: string }
    serverVersion?: { gitVersion: string }
  }
  if (versions.serverVersion === undefined) throw new KubectlError('kubectl reaches no cluster: kubectl cluster-info')
  const [crds, configs, deployments, classes, [broker], denied] = await Promise.all([
    quietly(getAll(kubectl, [servingCrd, brokerCrd, classCrds[config.broker.class]].map(crd))),
    quietly(getAll(kubectl, [object('v1', 'ConfigMap', 'config-network', 'knative-serving')])),
    quietly(
      getAll(
        kubectl,
        classDeployments[config.broker.class].map((name) => object('apps/v1', 'Deployment', name, 'knative-eventing')),
      ),
    ),
    quietly(
      kubectl(['get', 'storageclasses', '--output', 'json']).then(
        (out) => (JSON.parse(out) as { items: Resource[] }).items,
      ),
    ),
    quietly(getAll(kubectl, [object('eventing.knative.dev/v1', 'Broker', 'default', config.namespace)])),
    deniedOf(kubectl, rendered),
  ])
  const versionOf = (name: string) => {
    const found = crds.find(({ metadata }) => metadata.name === name)
    return (
      found &&
      (found.metadata.labels?.['app.kubernetes.io/version'] ??
        found.metadata.labels?.['serving.knative.dev/release'] ??
        '?')
    )
  }
  const network = configs[0]?.data
  return {
    kubectl: versions.clientVersion?.gitVersion ?? '?',
    server: versions.serverVersion.gitVersion,
    serving: versionOf(servingCrd),
    eventing: versionOf(brokerCrd),
    ingressClass: network?.['ingress-class'] ?? network?.['ingress.class'],
    hasBrokerClass: versionOf(classCrds[config.broker.class]) !== undefined || deployments.length > 0,
    liveBrokerClass: broker?.metadata.annotations?.['eventing.knative.dev/broker.class'],
    storageClasses: classes.map(({ metadata }) => ({
      name: metadata.name,
      isDefault: metadata.annotations?.['storageclass.kubernetes.io/is-default-class'] === 'true',
    })),
    denied,
  }
}

const classDeployments = {
  MTChannelBasedBroker: ['mt-broker-controller'],
  RabbitMQBroker: ['rabbitmq-broker-controller'],
  Kafka: ['kafka-controller', 'kafka-broker-receiver'],
} as const

const crd = (name: string) => object('apiextensions.k8s.io/v1', 'CustomResourceDefinition', name)

function object(apiVersion: string, kind: string, name: string, namespace?: string): Resource {
  return { apiVersion, kind, metadata: { name, ...(namespace !== undefined && { namespace }) } }
}

/** What cannot be asked is answered by the right that is missing, or by the apply. */
async function quietly<T>(answer: Promise<T[]>): Promise<T[]> {
  return answer.catch((error: unknown) => {
    if (error instanceof KubectlError) return []
    throw error
  })
}

const VERBS = ['get', 'create', 'patch', 'delete'] as const

/** A right that is asked for, as Kubernetes asks. */
interface Right {
  readonly verb: string
  readonly group: string
  readonly resource: string
  readonly namespace?: string
}

/** Every right that installing, upgrading and taking back need: for each kind and namespace, and for reading Jobs' logs. */
export function rightsFor(resources: readonly Resource[], namespace: string): Right[] {
  const places = new Map<string, Omit<Right, 'verb'>>()
  for (const { apiVersion, kind, metadata } of resources) {
    const group = apiVersion.includes('/') ? (apiVersion.split('/')[0] ?? '') : ''
    const place = {
      group,
      resource: plural(kind),
      ...(metadata.namespace !== undefined && { namespace: metadata.namespace }),
    }
    places.set(JSON.stringify(place), place)
  }
  return [
    ...[...places.values()].flatMap((place) => VERBS.map((verb) => ({ verb, ...place }))),
    { verb: 'list', group: '', resource: 'pods', namespace },
    { verb: 'get', group: '', resource: 'pods/log', namespace },
  ]
}

function plural(kind: string): string {
  const lower = kind.toLowerCase()
  return lower.endsWith('y') ? `${lower.slice(0, -1)}ies` : `${lower}s`
}

async function deniedOf(kubectl: Kubectl, rendered: readonly Resource[]): Promise<string[]> {
  const namespace = rendered.find(({ kind }) => kind === 'Namespace')?.metadata.name ?? 'default'
  const rights = rightsFor(rendered, namespace)
  const reviews = rights.map(({ verb, group, resource, namespace: where }) => {
    const [name, subresource] = resource.split('/')
    return {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      spec: {
        resourceAttributes: {
          verb,
          group,
          resource: name,
          ...(subresource !== undefined && { subresource }),
          ...(where !== undefined && { namespace: where }),
        },
      },
    }
  })
  const out = await kubectl(
    ['create', '--filename', '-', '--output', 'jsonpath={.status.allowed}{"\\n"}'],
    reviews.map((review) => JSON.stringify(review)).join('\n---\n'),
  )
  const answers = out.trim().split('\n')
  return rights
    .filter((_, index) => answers[index] !== 'true')
    .map(({ verb, group, resource, namespace: where }) => {
      const name = group === '' ? resource : `${resource}.${group}`
      return `${verb} ${name}${where === undefined ? '' : ` in ${where}`}`
    })
}
