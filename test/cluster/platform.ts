import { mkdirSync, writeFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { eventually } from '../support/wait.ts'
import type { Image } from './images.ts'
import { kubectl, list, type Resource } from './kubectl.ts'

/** Where everything of the test is: never the namespace of a real installation. Two runs at once need two names. */
export const NAMESPACE = process.env['TEST_NAMESPACE'] ?? 'codex-k8s-test'

/** Where the agents' Jobs of the test are. */
export const RUNS_NAMESPACE = `${NAMESPACE}-runs`

/** Name of what lets the test's staff-api ask whose token it is. */
const STAFF_RIGHTS = `codex-k8s-staff-api-${NAMESPACE}`

/** Where a pod is that is none of ours. */
export const STRANGER_NAMESPACE = `${NAMESPACE}-stranger`

/** Selects the pods and deployments of the functions. */
export const OF_FUNCTIONS = ['--selector', 'serving.knative.dev/service'] as const

/** Selects the pods of agents. */
export const OF_AGENTS = ['--selector', 'app.kubernetes.io/name=codex-k8s-agent'] as const

/** The address of a function inside of the cluster. */
export const functionUrl = (name: string) => `http://${name}.${NAMESPACE}.svc.cluster.local`

/** Whether the broker is of the durable class that `deploy/overlays/rabbitmq` chooses, instead of the cluster's default one. */
export const ON_RABBITMQ = process.env['BROKER_CLASS'] === 'rabbitmq'

/** Where events are posted to. */
export const brokerUrl = ON_RABBITMQ
  ? functionUrl('default-broker-ingress')
  : `http://broker-ingress.knative-eventing.svc.cluster.local/${NAMESPACE}/default`

const root = resolve(import.meta.dirname, '..', '..')

/** What an installation has to say of its own: images, addresses, Secrets. */
export interface Installation {
  readonly images: readonly Image[]
  /** Keys of the ConfigMap that differ. */
  readonly config: Readonly<Record<string, string>>
  /** Secrets by name, without `codex-k8s-`. */
  readonly secrets: Readonly<Record<string, Readonly<Record<string, string>>>>
}

/** Writes an overlay over `knative/` and `eventing/` as they are, the way an installation would; returns its folder. */
export function writeOverlay(folder: string, { images, config, secrets }: Installation): string {
  mkdirSync(folder, { recursive: true })
  const data = {
    brokerUrl,
    serviceUrlTemplate: functionUrl('{function}'),
    runGatewayUrl: functionUrl('run-gateway'),
    modelGatewayUrl: functionUrl('model-gateway'),
    ...config,
  }
  const kustomization = {
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    namespace: NAMESPACE,
    resources: ['knative', 'eventing'].map((name) => relative(folder, join(root, name))),
    components: ON_RABBITMQ ? [relative(folder, join(root, 'deploy', 'overlays', 'rabbitmq'))] : [],
    images,
    patches: [
      { patch: JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'codex-k8s' }, data }) },
      // They are in no namespace: under a name of their own no real installation loses its rights.
      {
        target: { kind: 'ClusterRole.*', name: 'codex-k8s-staff-api' },
        patch: JSON.stringify([{ op: 'replace', path: '/metadata/name', value: STAFF_RIGHTS }]),
        options: { allowNameChange: true },
      },
    ],
    secretGenerator: Object.entries(secrets).map(([name, values]) => ({
      name: `codex-k8s-${name}`,
      literals: Object.entries(values).map(([key, value]) => `${key}=${value}`),
    })),
    generatorOptions: { disableNameSuffixHash: true },
  }
  // JSON is YAML.
  writeFileSync(join(folder, 'kustomization.yaml'), JSON.stringify(kustomization))
  return folder
}

/**
 * Writes an overlay over `knative/runs`, for the test's own run namespace. The ingress of a cluster that is none of the usual
 * ones gets a rule of its own.
 */
export function writeRunsOverlay(folder: string, ingressNamespace: string): string {
  mkdirSync(folder, { recursive: true })
  const subject = { kind: 'ServiceAccount', name: 'stage-dispatcher', namespace: NAMESPACE }
  const replaceSubject = [{ op: 'replace', path: '/subjects', value: [subject] }]
  const to = [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': ingressNamespace } } }]
  const addIngress = [{ op: 'add', path: '/spec/egress/-', value: { to } }]
  const anyPort = [{ op: 'remove', path: '/spec/egress/0/ports' }]
  const kustomization = {
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    namespace: RUNS_NAMESPACE,
    resources: [relative(folder, join(root, 'knative', 'runs'))],
    patches: [
      { target: { kind: 'RoleBinding', name: 'stage-dispatcher' }, patch: JSON.stringify(replaceSubject) },
      { target: { kind: 'NetworkPolicy', name: 'gateways' }, patch: JSON.stringify(addIngress) },
      // The resolver's own port is not 53 everywhere.
      { target: { kind: 'NetworkPolicy', name: 'dns' }, patch: JSON.stringify(anyPort) },
    ],
  }
  writeFileSync(join(folder, 'kustomization.yaml'), JSON.stringify(kustomization))
  return folder
}

/** What the overlay comes to. */
export async function render(overlay: string): Promise<Resource[]> {
  return parseAllDocuments(await kubectl(['kustomize', overlay])).map((document) => document.toJS() as Resource)
}

/** Applies with fields checked strictly; what the API server says about each object. */
export async function apply(resources: readonly Resource[], ...more: readonly string[]): Promise<string> {
  const args = ['apply', '--server-side', '--force-conflicts', '--validate=strict', '--filename', '-', ...more]
  return kubectl(args, resources.map((resource) => JSON.stringify(resource)).join('\n---\n'))
}

/** Every namespace of an installation of the tests, and what is tried from elsewhere. */
const NAMESPACES = [NAMESPACE, RUNS_NAMESPACE, STRANGER_NAMESPACE]

/**
 * Removes namespaces, the first with functions in it, and waits until they are gone. Pods first, and without their grace: a
 * namespace that goes while pods are ending is looked at again only after half of the longest grace, and a gateway has 600 s.
 */
export async function removeNamespaces(namespaces: readonly string[] = NAMESPACES): Promise<void> {
  const [platform = ''] = namespaces
  const all = ['--namespace', platform, '--all', '--ignore-not-found']
  for (const kind of ['trigger,pingsource', 'broker', 'ksvc']) {
    // Knative's webhooks are asked about each, and are away now and then on a busy machine.
    const remove = async () => (await kubectl(['delete', kind, ...all, '--timeout', '60s'])) || 'nothing'
    await eventually(remove, { what: `each ${kind} to go`, timeoutMs: 120_000, everyMs: 1_000 })
  }
  await eventually(async () => (await list('deployments', platform, ...OF_FUNCTIONS)).length === 0, {
    what: 'the functions to go',
    timeoutMs: 60_000,
    everyMs: 500,
  })
  if (platform === NAMESPACE)
    await kubectl(['delete', 'clusterrole,clusterrolebinding', STAFF_RIGHTS, '--ignore-not-found'])
  await Promise.all(namespaces.map(removeWithPods))
}

async function removeWithPods(namespace: string): Promise<void> {
  await kubectl(['delete', 'jobs', '--namespace', namespace, '--all', '--cascade=orphan', '--ignore-not-found'])
  const now = ['--grace-period', '0', '--force', '--timeout', '60s']
  await kubectl(['delete', 'pods', '--namespace', namespace, '--all', '--ignore-not-found', ...now])
  await kubectl(['delete', 'namespace', namespace, '--ignore-not-found', '--timeout', '120s'])
}

/** Everything that explains why something did not happen. */
export async function diagnosis(): Promise<string> {
  const inNamespace = ['--namespace', NAMESPACE]
  const parts = await Promise.all([
    look(['get', 'ksvc,revision,broker,trigger,pingsource,pod', ...inNamespace, '--output', 'wide']),
    look(['get', 'job,pod', '--namespace', RUNS_NAMESPACE, '--output', 'wide']),
    look(['get', 'events', '--namespace', RUNS_NAMESPACE, '--sort-by', '.lastTimestamp']).then((events) =>
      lastLines(events, 20),
    ),
    look(['get', 'events', ...inNamespace, '--sort-by', '.lastTimestamp']).then((events) => lastLines(events, 40)),
    look(['logs', '--namespace', RUNS_NAMESPACE, ...OF_AGENTS, '--all-containers', '--tail', '20', '--prefix']),
    look(['logs', ...inNamespace, ...OF_FUNCTIONS, '--container', 'user-container', '--tail', '30', '--prefix']),
  ])
  return parts.join('\n\n')
}

async function look(args: readonly string[]): Promise<string> {
  return `$ kubectl ${args.join(' ')}\n${await kubectl(args).catch((error: Error) => error.message)}`
}

const lastLines = (text: string, count: number) => text.split('\n').slice(-count).join('\n')
