import { createHash } from 'node:crypto'
import type { Config } from './config.ts'
import { getAll, type Kubectl, type Resource } from './kubectl.ts'
import { annotated, isFunction, OWNER_LABEL, placeholdersIn, readImages, render, RUNS_OF_LABEL } from './render.ts'
import { resolverPorts, withResolver } from './resolver.ts'
import { secret, secretsFor, type Secrets } from './secrets.ts'

/** A namespace that was there before us. */
export interface ForeignNamespace {
  readonly name: string
  /** The Pod Security level that it enforces. */
  readonly enforces: string | undefined
  /** The platform's namespace whose runs it has, as it says. */
  readonly runsOf: string | undefined
}

/** All that has to be there, and what of it is somebody else's. */
export interface Installation {
  /** In no order. Secrets hold values: never print one. */
  readonly wanted: readonly Resource[]
  /** Namespaces that somebody else made: neither changed nor taken away. */
  readonly foreignNamespaces: readonly ForeignNamespace[]
  /** The program of Jobs that do what no function does. */
  readonly setupImage: string
  readonly missingImages: readonly string[]
}

/** What the configuration comes to on this cluster. */
export async function describe(kubectl: Kubectl, config: Config): Promise<Installation> {
  const images = readImages(config.images)
  const rendered = withResolver(await render(kubectl, config, images), await resolverPorts(kubectl))
  const live = await getAll(
    kubectl,
    rendered.filter(({ kind }) => kind === 'Namespace'),
  )
  const foreign = live.filter(({ metadata }) => metadata.labels?.[OWNER_LABEL] !== config.namespace)
  const isForeign = (resource: Resource) =>
    resource.kind === 'Namespace' && foreign.some(({ metadata }) => metadata.name === resource.metadata.name)
  const setupImage = images.get('codex-k8s/setup')
  return {
    wanted: rendered.filter((resource) => !isForeign(resource)),
    foreignNamespaces: foreign.map(({ metadata }) => ({
      name: metadata.name,
      enforces: metadata.labels?.['pod-security.kubernetes.io/enforce'],
      runsOf: metadata.labels?.[RUNS_OF_LABEL],
    })),
    setupImage: setupImage ?? '',
    missingImages: [
      ...placeholdersIn(rendered),
      ...['codex-k8s/setup', 'codex-k8s/agent'].filter((name) => !images.has(name)),
    ],
  }
}

/**
 * The Secrets as objects. One that somebody else made under such a name stays as it is, and is not among them; of the
 * hooks' Secret only keys are ours anyway.
 */
export async function describeSecrets(kubectl: Kubectl, config: Config): Promise<Resource[]> {
  const secrets: Secrets = await secretsFor(kubectl, config)
  const wanted = Object.entries(secrets).map(([name, values]) => owned(secret(name, config.namespace, values)))
  const live = await getAll(kubectl, wanted)
  const foreign = live.filter(({ metadata }) => metadata.labels?.[OWNER_LABEL] !== config.namespace)
  const isForeign = (name: string) => foreign.some(({ metadata }) => metadata.name === name)
  return wanted.flatMap((each) => {
    const { name } = each.metadata
    if (!isForeign(name)) return [each]
    return name === 'codex-k8s-hooks' ? [secret(name, config.namespace, secrets[name])] : []
  })
}

function owned(resource: Resource): Resource {
  const labels = { 'app.kubernetes.io/part-of': 'codex-k8s', [OWNER_LABEL]: resource.metadata.namespace ?? '' }
  return { ...resource, metadata: { ...resource.metadata, labels } }
}

/** The Secrets that a pod reads once, at its start. The others are files that it reads again. */
export const READ_AT_START = ['codex-k8s-database', 'codex-k8s-forge', 'codex-k8s-model', 'codex-k8s-run-token']

/**
 * Functions and migrations with what they were started with: another version of a Secret makes another revision, and
 * another migration or login makes another Job.
 */
export function withVersions(resources: readonly Resource[], secrets: readonly Resource[]): Resource[] {
  const versions = READ_AT_START.map((name) => {
    const found = secrets.find(({ kind, metadata }) => kind === 'Secret' && metadata.name === name)
    return `${name.slice('codex-k8s-'.length)}=${found?.metadata.resourceVersion ?? ''}`
  })
  return resources.map((resource) => {
    if (isFunction(resource)) return annotated(resource, { 'codex-k8s.dev/secrets': versions.join(',') })
    if (resource.kind !== 'Job') return resource
    const inputs = createHash('sha256')
      .update(JSON.stringify([resource.spec, versions[0]]))
      .digest('hex')
      .slice(0, 16)
    const annotations = { ...resource.metadata.annotations, [INPUTS]: inputs }
    return { ...resource, metadata: { ...resource.metadata, annotations } }
  })
}

/** On a Job: what it was made of. A Job cannot be changed, so one of something else is replaced. */
export const INPUTS = 'codex-k8s.dev/inputs'
