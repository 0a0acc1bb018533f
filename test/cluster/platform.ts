import { mkdirSync, writeFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { eventually } from '../support/wait.ts'
import type { Image } from './images.ts'
import { kubectl, list, type Resource } from './kubectl.ts'

/** Where everything of the test is: never the namespace of a real installation. */
export const NAMESPACE = 'codex-k8s-test'

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
  const at = (name: string) => `http://${name}.${NAMESPACE}.svc.cluster.local`
  const data = {
    brokerUrl: `http://broker-ingress.knative-eventing.svc.cluster.local/${NAMESPACE}/default`,
    serviceUrlTemplate: at('{function}'),
    runGatewayUrl: at('run-gateway'),
    modelGatewayUrl: at('model-gateway'),
    ...config,
  }
  const kustomization = {
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    namespace: NAMESPACE,
    resources: ['knative', 'eventing'].map((name) => relative(folder, join(root, name))),
    images,
    patches: [
      { patch: JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'codex-k8s' }, data }) },
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

/** What the overlay comes to. */
export async function render(overlay: string): Promise<Resource[]> {
  return parseAllDocuments(await kubectl(['kustomize', overlay])).map((document) => document.toJS() as Resource)
}

/** Applies with fields checked strictly; what the API server says about each object. */
export async function apply(resources: readonly Resource[], ...more: readonly string[]): Promise<string> {
  const args = ['apply', '--server-side', '--force-conflicts', '--validate=strict', '--filename', '-', ...more]
  return kubectl(args, resources.map((resource) => JSON.stringify(resource)).join('\n---\n'))
}

/**
 * Removes the namespace and waits until it is gone. Pods first, and without their grace: a namespace that goes while pods
 * are ending is looked at again only after half of the longest grace, and a gateway has 600 s.
 */
export async function removeNamespace(): Promise<void> {
  const all = ['--namespace', NAMESPACE, '--all', '--ignore-not-found']
  for (const kind of ['trigger,pingsource', 'broker', 'ksvc'])
    await kubectl(['delete', kind, ...all, '--timeout', '60s'])
  const deployments = () => list('deployments', NAMESPACE)
  await eventually(async () => (await deployments()).length === 0, {
    what: 'the functions to go',
    timeoutMs: 60_000,
    everyMs: 500,
  })
  await kubectl(['delete', 'pods', ...all, '--grace-period', '0', '--force', '--timeout', '60s'])
  await kubectl(['delete', 'namespace', NAMESPACE, '--ignore-not-found', '--timeout', '120s'])
}

/** Everything that explains why something did not happen. */
export async function diagnosis(): Promise<string> {
  const inNamespace = ['--namespace', NAMESPACE]
  const parts = await Promise.all([
    look(['get', 'ksvc,revision,broker,trigger,pingsource,pod', ...inNamespace, '--output', 'wide']),
    look(['get', 'events', ...inNamespace, '--sort-by', '.lastTimestamp']).then((events) => lastLines(events, 40)),
    look([
      'logs',
      ...inNamespace,
      '--selector',
      'serving.knative.dev/service',
      '--container',
      'user-container',
      '--tail',
      '30',
      '--prefix',
    ]),
  ])
  return parts.join('\n\n')
}

async function look(args: readonly string[]): Promise<string> {
  return `$ kubectl ${args.join(' ')}\n${await kubectl(args).catch((error: Error) => error.message)}`
}

const lastLines = (text: string, count: number) => text.split('\n').slice(-count).join('\n')
