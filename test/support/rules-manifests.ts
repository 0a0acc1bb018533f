import { posix } from 'node:path'
import { parseAllDocuments } from 'yaml'
import type { Files } from './repository.ts'

// What linters of Kubernetes manifests ask for, as far as it concerns us, over the files as they are written: a fresh machine has
// npm and no such linter. The API server says the rest, see test/cluster.

interface Container {
  readonly name?: string
  readonly image?: string
  readonly securityContext?: Security & { readonly capabilities?: { readonly drop?: readonly string[] } }
  readonly resources?: Readonly<Record<'requests' | 'limits', Readonly<Record<string, string>> | undefined>>
  readonly readinessProbe?: object
  readonly livenessProbe?: object
  readonly env?: readonly { readonly name: string; readonly value?: string }[]
  readonly ports?: readonly { readonly hostPort?: number }[]
}

interface Security {
  readonly runAsNonRoot?: boolean
  readonly seccompProfile?: { readonly type?: string }
  readonly allowPrivilegeEscalation?: boolean
  readonly readOnlyRootFilesystem?: boolean
  readonly privileged?: boolean
}

interface PodSpec {
  readonly serviceAccountName?: string
  readonly automountServiceAccountToken?: boolean
  readonly enableServiceLinks?: boolean
  readonly containerConcurrency?: number
  readonly securityContext?: Security
  readonly containers?: readonly Container[]
  readonly initContainers?: readonly Container[]
  readonly volumes?: readonly { readonly hostPath?: object; readonly emptyDir?: { readonly sizeLimit?: string } }[]
  readonly hostNetwork?: boolean
  readonly hostPID?: boolean
  readonly hostIPC?: boolean
}

/** A rule of a role. */
type Right = Readonly<Record<'apiGroups' | 'resources' | 'verbs', readonly string[]>>

interface Manifest {
  readonly apiVersion?: string
  readonly kind?: string
  readonly metadata?: {
    readonly name?: string
    readonly labels?: Readonly<Record<string, string>>
  }
  readonly automountServiceAccountToken?: boolean
  readonly spec?: {
    readonly template?: {
      readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> }
      readonly spec?: PodSpec
    }
  }
  readonly rules?: readonly Right[]
  readonly resources?: readonly string[]
  readonly patches?: readonly { readonly path?: string }[]
}

/** Whose pods may hold a token of the cluster: who starts Jobs, who asks whose token it was given, who watches Jobs. */
const withToken = ['stage-dispatcher', 'staff-api', 'jobs-watch']
/** Connections that PostgreSQL's default of 100 leaves to others than its superuser, and how many one pod holds. */
const [CONNECTIONS, POOL] = [97, 5]

const folders = ['knative/', 'eventing/', 'deploy/overlays/', 'deploy/observability/']

/** Every manifest keeps to what Pod Security and the platform's own habits ask for. */
export function hardenedManifests(files: Files): string[] {
  const all = manifests(files)
  const accounts = new Map(
    all.flatMap(({ manifest: { kind, metadata, automountServiceAccountToken } }) =>
      kind === 'ServiceAccount' ? [[metadata?.name, automountServiceAccountToken]] : [],
    ),
  )
  return all.flatMap(({ path, manifest }) => {
    const { kind, metadata, spec } = manifest
    const pod = spec?.template?.spec
    const name = metadata?.name ?? ''
    const problems = [
      ...(pod === undefined || isPatch(manifest) ? [] : podProblems(pod, kind ?? '')),
      ...(pod?.serviceAccountName === undefined || accounts.has(pod.serviceAccountName)
        ? []
        : [`there is no ServiceAccount ${pod.serviceAccountName}`]),
      ...(isFunction(manifest) ? functionProblems(manifest) : []),
      ...(kind === 'ServiceAccount' && (manifest.automountServiceAccountToken ?? true) && !withToken.includes(name)
        ? ['its token is mounted']
        : []),
      ...(kind === 'Namespace' && metadata?.labels?.['pod-security.kubernetes.io/enforce'] !== 'restricted'
        ? ['Pod Security is not restricted']
        : []),
      ...(kind === 'Secret' ? ['a Secret belongs to the installation'] : []),
      ...(manifest.rules ?? []).flatMap(ruleProblems),
    ]
    return problems.map((problem) => `${path}: ${kind} ${name}: ${problem}`)
  })
}

/** All functions at their max-scale fit into a database as it comes. */
export function connectionsFit(files: Files): string[] {
  const most = manifests(files)
    .filter(({ manifest }) => isFunction(manifest))
    .reduce((sum, { manifest }) => sum + Number(scale(manifest, 'max')), 0)
  return most * POOL > CONNECTIONS ? [`${most} pods hold ${most * POOL} connections, more than ${CONNECTIONS}`] : []
}

/** A file that no kustomization beside it names is never applied. */
export function kustomizedFiles(files: Files): string[] {
  const all = manifests(files, true)
  const lists = all.filter(({ path }) => path.endsWith('/kustomization.yaml'))
  const named = new Set(
    lists.flatMap(({ path, manifest: { resources = [], patches = [] } }) =>
      [...resources, ...patches.flatMap((patch) => patch.path ?? [])].map((each) =>
        posix.join(posix.dirname(path), each),
      ),
    ),
  )
  const kustomized = new Set(lists.map(({ path }) => posix.dirname(path)))
  const objects = all.filter(({ path, manifest }) => manifest.kind !== undefined && kustomized.has(posix.dirname(path)))
  return [...new Set(objects.map(({ path }) => path))]
    .filter((path) => !path.endsWith('/kustomization.yaml') && !named.has(path))
    .map((path) => `${path}: no kustomization names it`)
}

function podProblems(pod: PodSpec, kind: string): string[] {
  const whole = [
    pod.serviceAccountName === undefined || pod.serviceAccountName === 'default'
      ? 'has no ServiceAccount of its own'
      : '',
    pod.automountServiceAccountToken !== false && !withToken.includes(pod.serviceAccountName ?? '')
      ? 'mounts a token'
      : '',
    pod.enableServiceLinks === false ? '' : 'is told of every Service',
    pod.hostNetwork || pod.hostPID || pod.hostIPC ? 'shares a namespace of the node' : '',
    pod.volumes?.some(({ hostPath }) => hostPath) ? 'mounts a folder of the node' : '',
    pod.volumes?.some(({ emptyDir }) => emptyDir && emptyDir.sizeLimit === undefined)
      ? 'has an emptyDir without a limit'
      : '',
  ]
  const containers = [...(pod.initContainers ?? []), ...(pod.containers ?? [])]
  return [...whole, ...containers.flatMap((each) => containerProblems(each, pod, kind))].filter(Boolean)
}

function containerProblems(container: Container, pod: PodSpec, kind: string): string[] {
  const own = { ...pod.securityContext, ...container.securityContext }
  const { requests, limits } = container.resources ?? {}
  return [
    // Ours have none here: an overlay says which.
    /^codex-k8s\/[a-z-]+$|:(?!latest$)[\w.-]+$|@sha256:/.test(container.image ?? '')
      ? ''
      : `its image ${container.image} has no fixed tag`,
    own.runAsNonRoot ? '' : 'may run as root',
    own.seccompProfile?.type === 'RuntimeDefault' ? '' : 'has no seccomp profile',
    own.allowPrivilegeEscalation === false && !own.privileged ? '' : 'may gain privileges',
    own.readOnlyRootFilesystem ? '' : 'may write to its image',
    container.securityContext?.capabilities?.drop?.includes('ALL') ? '' : 'has capabilities',
    requests?.['cpu'] && requests['memory'] && limits?.['memory'] ? '' : 'lacks a request or a limit of memory',
    kind === 'Job' || (container.readinessProbe && container.livenessProbe) ? '' : 'is not probed',
    container.ports?.some(({ hostPort }) => hostPort) ? 'takes a port of the node' : '',
    ...(container.env ?? []).map(({ name, value }) =>
      value !== undefined && /KEY|TOKEN|SECRET|PASSWORD|DATABASE/.test(name) && !/_(FILE|DIR)$/.test(name)
        ? `${name} is written out`
        : '',
    ),
  ]
}

function functionProblems(manifest: Manifest): string[] {
  const name = manifest.metadata?.name ?? ''
  const isPrivate = manifest.metadata?.labels?.['networking.knative.dev/visibility'] === 'cluster-local'
  return [
    isPrivate === (name === 'webhook-gateway') ? `is ${isPrivate ? 'not ' : ''}to be reached from outside` : '',
    scale(manifest, 'min') === '0' ? '' : 'does not go to zero',
    Number(scale(manifest, 'max')) > 0 ? '' : 'has no max-scale',
    (manifest.spec?.template?.spec?.containerConcurrency ?? 0) > 0 ? '' : 'takes any number of requests at once',
  ].filter(Boolean)
}

function ruleProblems({ apiGroups, resources, verbs }: Right): string[] {
  const reads = verbs.some((verb) => ['get', 'list', 'watch', '*'].includes(verb))
  return [
    [...apiGroups, ...resources, ...verbs].includes('*') ? 'a right to everything' : '',
    verbs.some((verb) => ['escalate', 'bind', 'impersonate'].includes(verb)) ? 'a right to more rights' : '',
    resources.some((each) => each.startsWith('secrets')) && reads ? 'a right to read Secrets' : '',
    resources.some((each) => ['pods/exec', 'pods/attach', 'nodes/proxy'].includes(each)) ? 'a right to enter pods' : '',
  ].filter(Boolean)
}

const isFunction = ({ apiVersion, kind }: Manifest) => apiVersion === 'serving.knative.dev/v1' && kind === 'Service'
const isPatch = ({ spec }: Manifest) => spec?.template?.spec?.containers === undefined
const scale = (manifest: Manifest, end: 'min' | 'max') =>
  manifest.spec?.template?.metadata?.annotations?.[`autoscaling.knative.dev/${end}-scale`] ?? ''

function manifests(files: Files, kustomizations = false): { path: string; manifest: Manifest }[] {
  return [...files]
    .filter(([path]) => path.endsWith('.yaml') && folders.some((folder) => path.startsWith(folder)))
    .filter(([path]) => kustomizations || !path.endsWith('/kustomization.yaml'))
    .flatMap(([path, text]) =>
      parseAllDocuments(text).map((document) => ({ path, manifest: (document.toJS() ?? {}) as Manifest })),
    )
}
