import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import * as v from 'valibot'
import { parseAllDocuments } from 'yaml'
import { configData } from './config-data.ts'
import { ConfigError, type Config } from './config.ts'
import type { Kubectl, Resource } from './kubectl.ts'

const root = resolve(import.meta.dirname, '..', '..')

/** Where each image is: `dist/images.json`. A name is the placeholder in the manifests, `codex-k8s/<unit>`. */
const Images = v.array(
  v.object({
    name: v.string(),
    newName: v.string(),
    newTag: v.string(),
    digest: v.optional(v.pipe(v.string(), v.regex(/^sha256:[0-9a-f]{64}$/))),
  }),
)

/** Says whose an object is, on every object of an installation: its platform namespace. */
export const OWNER_LABEL = 'codex-k8s.dev/installation'

/** Says whose runs a run namespace has: run-door and jobs-watch go by it. */
export const RUNS_OF_LABEL = 'codex-k8s.dev/runs-of'

/** The images of a build or release, by placeholder: what a manifest has to say. */
export function readImages({ file, pin }: Config['images']): ReadonlyMap<string, string> {
  if (!existsSync(file))
    throw new ConfigError(
      `${file} is not there: npm run images -- --registry HOST/PREFIX --push, or take the file of a release`,
    )
  const images = v.safeParse(v.pipe(v.string(), v.parseJson(), Images), readFileSync(file, 'utf8'))
  if (!images.success)
    throw new ConfigError(
      `${file} is no list of images: make it anew with npm run images, or take the file of a release`,
    )
  return new Map(
    images.output.map(({ name, newName, newTag, digest }) => [
      name,
      pin === 'digest' && digest !== undefined ? `${newName}@${digest}` : `${newName}:${newTag}`,
    ]),
  )
}

/** All manifests of the installation, as they have to be, but for the Secrets. */
export async function render(
  kubectl: Kubectl,
  config: Config,
  images: ReadonlyMap<string, string>,
): Promise<Resource[]> {
  const { namespace, runNamespaces, broker, database, features, overlays } = config
  const components = [
    ...(broker.class === 'RabbitMQBroker' ? ['rabbitmq'] : []),
    ...(broker.class === 'Kafka' ? ['kafka'] : []),
    ...(database.trial === undefined ? [] : ['trial-postgres']),
    ...features,
  ].map((name) => join(root, 'deploy', 'overlays', name))
  const bases = ['knative', 'knative/migrate', 'eventing'].map((folder) => join(root, folder))
  const ofPlatform = components.map((folder) =>
    existsSync(join(folder, 'platform')) ? join(folder, 'platform') : folder,
  )
  const ofRuns = components.map((folder) => join(folder, 'runs')).filter((folder) => existsSync(folder))
  const platform = await kustomize(kubectl, { namespace, resources: bases, components: [...ofPlatform, ...overlays] })
  const runs = await Promise.all(
    runNamespaces.map((name) =>
      kustomize(kubectl, { namespace: name, resources: [join(root, 'knative/runs')], components: ofRuns }),
    ),
  )
  return finish([...platform, ...runs.flat()], config, images)
}

/** What only the configuration knows, put into what was rendered. */
export function finish(
  resources: readonly Resource[],
  config: Config,
  images: ReadonlyMap<string, string>,
): Resource[] {
  const data = configData(config, images)
  const settings = createHash('sha256').update(JSON.stringify(data)).digest('hex').slice(0, 16)
  return resources.map((resource) => {
    const placed = withImages(inNamespace(resource, config.namespace), images)
    const labels = { ...placed.metadata.labels, [OWNER_LABEL]: config.namespace }
    const named = { ...placed, metadata: { ...placed.metadata, labels } }
    if (named.kind === 'ConfigMap' && named.metadata.name === 'codex-k8s')
      return { ...named, data: { ...named.data, ...data } }
    if (isFunction(named)) return annotated(named, { [SETTINGS]: settings })
    if (named.kind === 'StatefulSet' && config.database.trial !== undefined)
      return withStorage(named, config.database.trial)
    return named
  })
}

/** On a function's revisions: what its environment was made of, so that a change of it makes a new revision. */
export const SETTINGS = 'codex-k8s.dev/settings'

/** Adds annotations to the template of a function. */
export function annotated(resource: Resource, annotations: Readonly<Record<string, string>>): Resource {
  const spec = resource.spec as { template: { metadata?: { annotations?: object } } }
  const metadata = {
    ...spec.template.metadata,
    annotations: { ...spec.template.metadata?.annotations, ...annotations },
  }
  return { ...resource, spec: { ...spec, template: { ...spec.template, metadata } } }
}

export const isFunction = ({ apiVersion, kind }: Resource) =>
  kind === 'Service' && apiVersion.startsWith('serving.knative.dev/')

/**
 * The platform's namespace where kustomize does not look: subjects of bindings, what network policies select, and names
 * that belong to no namespace.
 */
function inNamespace(resource: Resource, namespace: string): Resource {
  const text = JSON.stringify(resource)
    .replaceAll('"kubernetes.io/metadata.name":"codex-k8s"', `"kubernetes.io/metadata.name":"${namespace}"`)
    .replaceAll('.codex-k8s.svc', `.${namespace}.svc`)
    .replaceAll(`"${RUNS_OF_LABEL}":"codex-k8s"`, `"${RUNS_OF_LABEL}":"${namespace}"`)
  const placed = JSON.parse(text) as Resource & {
    subjects?: readonly { readonly namespace?: string }[]
    roleRef?: { readonly kind: string; readonly name: string }
  }
  const ofCluster = (name: string) => (namespace === 'codex-k8s' ? name : `${name}-${namespace}`)
  const { kind, metadata, subjects, roleRef } = placed
  // Roles of Kubernetes itself keep their names.
  const isOurRole = roleRef?.kind === 'ClusterRole' && roleRef.name.startsWith('codex-k8s')
  return {
    ...placed,
    ...(/^ClusterRole(Binding)?$/.test(kind) && { metadata: { ...metadata, name: ofCluster(metadata.name) } }),
    ...(subjects && {
      subjects: subjects.map((each) => (each.namespace === undefined ? each : { ...each, namespace })),
    }),
    ...(isOurRole && { roleRef: { ...roleRef, name: ofCluster(roleRef.name) } }),
  }
}

function withImages(resource: Resource, images: ReadonlyMap<string, string>): Resource {
  const text = JSON.stringify(resource, (key, value: unknown) =>
    key === 'image' && typeof value === 'string' ? (images.get(value) ?? value) : value,
  )
  return JSON.parse(text) as Resource
}

/** Placeholders that no image was found for. */
export function placeholdersIn(resources: readonly Resource[]): string[] {
  const found = JSON.stringify(resources).matchAll(/"image":"(codex-k8s\/[a-z-]+)"/g)
  return [...new Set([...found].map(([, name = '']) => name))]
}

function withStorage(
  resource: Resource,
  { storage, storageClass }: { storage: string; storageClass?: string | undefined },
): Resource {
  const spec = resource.spec as { volumeClaimTemplates: { metadata: object; spec: object }[] }
  const volumeClaimTemplates = spec.volumeClaimTemplates.map((claim) => ({
    ...claim,
    spec: {
      ...claim.spec,
      resources: { requests: { storage } },
      ...(storageClass !== undefined && { storageClassName: storageClass }),
    },
  }))
  return { ...resource, spec: { ...spec, volumeClaimTemplates } }
}

async function kustomize(
  kubectl: Kubectl,
  overlay: { namespace: string; resources: readonly string[]; components?: readonly string[] },
): Promise<Resource[]> {
  // Its real path, because kustomize wants relative ones. It holds no secret.
  const folder = mkdtempSync(join(realpathSync(tmpdir()), 'codex-k8s-overlay-'))
  const paths = (folders: readonly string[] = []) => folders.map((each) => relative(folder, each))
  const { namespace, resources, components } = overlay
  try {
    // JSON is YAML.
    const text = JSON.stringify({
      apiVersion: 'kustomize.config.k8s.io/v1beta1',
      kind: 'Kustomization',
      namespace,
      resources: paths(resources),
      components: paths(components),
    })
    writeFileSync(join(folder, 'kustomization.yaml'), text)
    return parseAllDocuments(await kubectl(['kustomize', folder])).map((document) => document.toJS() as Resource)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
