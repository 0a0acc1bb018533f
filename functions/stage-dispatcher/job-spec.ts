import type { V1Container, V1EnvVar, V1Job, V1Probe, V1ResourceRequirements } from '@kubernetes/client-node'
import type { Resources } from '#shared/job/bundle.ts'
import type { Job } from './launcher.ts'
import { LIVENESS } from './liveness.ts'

/** What every Job of an installation has in common. */
export interface Place {
  /** The image that brings runner, Node and CLI; also what a stage runs in that names `codex-k8s/agent`. */
  readonly agentImage: string
  readonly runGatewayUrl: string
  readonly modelGatewayUrl: string
  /** What an agent may use where its stage does not say. */
  readonly resources: Limits
}

type Limits = Readonly<Record<keyof Resources, string>>

/** The annotation that says whose Job it is. */
export const RUN_UID = 'codex-k8s.dev/run-uid'

/** What an agent may use if nobody says anything. */
export const usualResources = { cpu: '2', memory: '4Gi', storage: '8Gi' } as const satisfies Limits

/** The name in a stage that stands for the installation's own image. */
const OWN_IMAGE = 'codex-k8s/agent'

/** The user of every agent; no image has to have it. */
const USER = 65_532

const DAY_SECONDS = 86_400

/** Between SIGTERM and SIGKILL, seconds; the runner kills the CLI after 2 and reports. */
const GRACE_SECONDS = 15

/** Where the agent's image has what it brings, and where the agent's container finds it. `agent/install.ts` says what is there. */
const TOOLS = '/opt/codex-k8s'
const SECRET = '/var/run/codex-k8s/secret'
const PRIVATE = '/var/run/codex-k8s/private'
const WORK = '/work'

/** Kubernetes' own: what stands in it becomes part of the pod's status. */
const TERMINATION_LOG = '/dev/termination-log'

/** Node with the libraries that it was linked against: the run's image may have another C library, or none. */
const copiedNode = [`${TOOLS}/lib/loader`, '--library-path', `${TOOLS}/lib`, `${TOOLS}/bin/node`]

/** The Node of our own image, by a loader that keeps the agent from looking into it: `agent/install.ts` says how. */
const ownNode = [`${PRIVATE}/lib/loader`, `${PRIVATE}/bin/node`]

/** What the run's container needs beyond what the image has: the runner, Node, the CLI. */
const TOOLS_SIZE = '1Gi'

/** Of everything that is made for a run. */
export const labels = { 'app.kubernetes.io/name': 'codex-k8s-agent', 'app.kubernetes.io/managed-by': 'codex-k8s' }

/** Every variable of the agent's container; nobody can name another. */
const environment = (place: Place): V1EnvVar[] => [
  { name: 'RUN_GATEWAY_URL', value: literal(place.runGatewayUrl) },
  { name: 'MODEL_GATEWAY_URL', value: literal(place.modelGatewayUrl) },
  { name: 'RUN_TOKEN_FILE', value: `${PRIVATE}/token` },
  { name: 'HEARTBEAT_FILE', value: `${PRIVATE}/heartbeat` },
  { name: 'WORK_DIR', value: WORK },
  { name: 'CODEX_BINARY', value: `${TOOLS}/codex/bin/codex` },
  // The pod is the sandbox; the CLI's own needs user namespaces, which a restricted pod does not have.
  { name: 'SANDBOX', value: 'none' },
  // The image's own would be the runner's, too.
  { name: 'NODE_OPTIONS', value: '' },
]

const unprivileged = {
  runAsNonRoot: true,
  runAsUser: USER,
  runAsGroup: USER,
  privileged: false,
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
  seccompProfile: { type: 'RuntimeDefault' },
}

/**
 * The Job of one attempt, for the *restricted* Pod Security profile. Nothing that a person wrote is in it: names are
 * hashes, the rest is ours or the installation's. Its Secret has the same name.
 */
export function jobSpec(job: Job, namespace: string, place: Place): V1Job {
  const { cpu, memory, storage } = place.resources
  const resources = {
    cpu: job.resources?.cpu ?? cpu,
    memory: job.resources?.memory ?? memory,
    storage: job.resources?.storage ?? storage,
  }
  const annotations = { [RUN_UID]: job.run, 'codex-k8s.dev/attempt': String(job.attempt) }
  const image = job.image === OWN_IMAGE ? place.agentImage : job.image
  // Our own image has what the others are brought: half a gigabyte less to write at each start.
  const isOwn = image === place.agentImage
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: job.name, namespace, labels, annotations },
    spec: {
      parallelism: 1,
      completions: 1,
      backoffLimit: 0,
      // No second pod, ever: another attempt is another Job.
      podReplacementPolicy: 'Failed',
      podFailurePolicy: {
        rules: [{ action: 'FailJob', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] }],
      },
      activeDeadlineSeconds: Math.max(1, job.seconds),
      ttlSecondsAfterFinished: DAY_SECONDS,
      template: {
        metadata: { labels, annotations },
        spec: {
          restartPolicy: 'Never',
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          terminationGracePeriodSeconds: GRACE_SECONDS,
          securityContext: {
            runAsNonRoot: true,
            runAsUser: USER,
            runAsGroup: USER,
            fsGroup: USER,
            seccompProfile: { type: 'RuntimeDefault' },
          },
          initContainers: [installer(place, isOwn)],
          containers: [agent(job, place, { image, isOwn, resources })],
          volumes: [
            ...(isOwn ? [] : [{ name: 'tools', emptyDir: { sizeLimit: TOOLS_SIZE } }]),
            { name: 'private', emptyDir: { medium: 'Memory', sizeLimit: '4Mi' } },
            { name: 'work', emptyDir: { sizeLimit: resources.storage } },
            { name: 'tmp', emptyDir: { sizeLimit: resources.storage } },
            { name: 'secret', secret: { secretName: job.name, defaultMode: 0o440 } },
          ],
        },
      },
    },
  }
}

/** Copies runner, Node and CLI where they are not, and the tokens out of the Secret: the agent's container mounts none. */
function installer({ agentImage }: Place, isOwn: boolean): V1Container {
  const where = isOwn ? ['--only-loader', PRIVATE] : ['/target']
  return {
    name: 'install',
    image: agentImage,
    command: ['node', `${TOOLS}/install.js`, ...where, `${SECRET}/token`, `${PRIVATE}/token`],
    workingDir: PRIVATE,
    securityContext: unprivileged,
    resources: limited({ cpu: '1', memory: '256Mi', storage: '1Gi' }),
    volumeMounts: [
      ...(isOwn ? [] : [{ name: 'tools', mountPath: '/target' }]),
      { name: 'private', mountPath: PRIVATE },
      { name: 'secret', mountPath: SECRET, readOnly: true },
    ],
  }
}

function agent(
  job: Job,
  place: Place,
  { image, isOwn, resources }: { readonly image: string; readonly isOwn: boolean; readonly resources: Limits },
): V1Container {
  const node = isOwn ? ownNode : copiedNode
  return {
    name: 'agent',
    image,
    command: [...node, `${TOOLS}/runner/main.js`],
    workingDir: WORK,
    env: environment(place),
    securityContext: unprivileged,
    resources: limited(resources),
    livenessProbe: signsOfLife(node, job.silentSeconds),
    volumeMounts: [
      ...(isOwn ? [] : [{ name: 'tools', mountPath: TOOLS, readOnly: true }]),
      { name: 'private', mountPath: PRIVATE },
      { name: 'work', mountPath: WORK },
      { name: 'tmp', mountPath: '/tmp' },
    ],
  }
}

/** Looks at the file that the runner touches. Three times, because a busy machine may not start Node in time. */
function signsOfLife(node: readonly string[], silentSeconds: number): V1Probe {
  return {
    exec: { command: [...node, '-e', LIVENESS, `${PRIVATE}/heartbeat`, String(silentSeconds), TERMINATION_LOG] },
    initialDelaySeconds: 30,
    periodSeconds: 30,
    timeoutSeconds: 20,
    failureThreshold: 3,
  }
}

/** A quarter of the CPU is asked for, because an agent waits for its model most of the time; memory and disk in full. */
function limited({ cpu, memory, storage }: Limits): V1ResourceRequirements {
  return {
    requests: { cpu: '250m', memory, 'ephemeral-storage': storage },
    limits: { cpu, memory, 'ephemeral-storage': storage },
  }
}

/** Kubernetes puts variables in the place of `$(NAME)`. */
function literal(value: string): string {
  return value.replaceAll('$', '$$$$')
}
