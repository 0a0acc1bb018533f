import type { V1Container, V1Job } from '@kubernetes/client-node'

/** The images that a Job may come from: what the stage says and the installation's own. */
export interface Allowed {
  readonly images: readonly string[]
}

/** The variables that an agent's container has. */
export const VARIABLES = [
  'CODEX_BINARY',
  'HEARTBEAT_FILE',
  'MODEL_GATEWAY_URL',
  'NODE_OPTIONS',
  'RUN_GATEWAY_URL',
  'RUN_TOKEN_FILE',
  'SANDBOX',
  'WORK_DIR',
]

/** Everything about a Job that would let its agent do more than it may: the *restricted* profile, and our own rules beyond it. */
export function wrongWith(job: V1Job, { images }: Allowed): string[] {
  const { spec, metadata } = job.spec?.template ?? {}
  if (spec === undefined) return ['no pod']
  const problems = new Set<string>()
  const expect = (holds: boolean | undefined, problem: string) => {
    if (holds !== true) problems.add(problem)
  }
  expect(spec?.automountServiceAccountToken === false, 'service account token')
  expect(spec?.enableServiceLinks === false, 'service links')
  expect(spec?.serviceAccountName === undefined, 'service account')
  expect(!spec?.hostNetwork && !spec?.hostPID && !spec?.hostIPC && !spec?.shareProcessNamespace, 'host namespaces')
  expect(spec?.restartPolicy === 'Never', 'restarts')
  expect(spec?.securityContext?.runAsNonRoot === true && (spec.securityContext.runAsUser ?? 0) > 0, 'root')
  expect(spec?.securityContext?.seccompProfile?.type === 'RuntimeDefault', 'seccomp')
  expect(spec?.securityContext?.sysctls === undefined, 'sysctls')
  expect(spec?.nodeName === undefined && spec?.tolerations === undefined, 'placement')
  const volumes = spec?.volumes ?? []
  expect(
    volumes.every((one) => (one.emptyDir !== undefined && one.emptyDir.sizeLimit) || one.secret !== undefined),
    'volumes',
  )
  for (const container of [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])])
    for (const problem of wrongWithContainer(container)) problems.add(problem)
  const secrets = volumes.filter(({ secret }) => secret !== undefined).map(({ name }) => name)
  const mounted = spec?.containers.flatMap(({ volumeMounts }) => volumeMounts?.map(({ name }) => name) ?? []) ?? []
  expect(!mounted.some((name) => secrets.includes(name)), 'a Secret beside the agent')
  const all = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])]
  expect(
    all.every(({ image }) => images.includes(image ?? '')),
    'another image',
  )
  expect(spec?.initContainers?.length === 1 && spec.containers.length === 1, 'another container')
  expect(
    Object.keys(metadata?.labels ?? {}).every((key) => key.startsWith('app.kubernetes.io/')),
    'labels',
  )
  expect(job.spec?.backoffLimit === 0 && job.spec.podReplacementPolicy === 'Failed', 'a second pod')
  expect(job.spec?.activeDeadlineSeconds !== undefined && job.spec.ttlSecondsAfterFinished !== undefined, 'no end')
  expect(job.metadata?.finalizers === undefined, 'finalizers')
  return [...problems]
}

function wrongWithContainer({
  securityContext: own,
  resources,
  env,
  envFrom,
  volumeMounts,
  ...rest
}: V1Container): string[] {
  const problems: string[] = []
  const expect = (holds: boolean | undefined, problem: string) => void (holds === true || problems.push(problem))
  expect(own?.privileged === false && own.allowPrivilegeEscalation === false, 'privilege')
  expect(own?.runAsNonRoot === true && (own.runAsUser ?? 0) > 0, 'root')
  expect(own?.readOnlyRootFilesystem, 'root file system')
  expect(own?.capabilities?.drop?.includes('ALL') === true && own.capabilities.add === undefined, 'capabilities')
  expect(own?.seccompProfile?.type === 'RuntimeDefault', 'seccomp')
  expect(own?.procMount === undefined, 'proc')
  for (const what of ['cpu', 'memory', 'ephemeral-storage'])
    expect(resources?.limits?.[what] !== undefined && resources.requests?.[what] !== undefined, `limit of ${what}`)
  expect(
    (env ?? []).every(({ name, value }) => VARIABLES.includes(name) && value !== undefined),
    'variables',
  )
  expect(envFrom === undefined, 'variables')
  expect(
    rest.ports === undefined && rest.lifecycle === undefined && rest.volumeDevices === undefined,
    'more than it needs',
  )
  expect(
    volumeMounts?.every(({ mountPropagation }) => mountPropagation === undefined),
    'mounts',
  )
  return problems
}

/** What must never come out of the builder, by name. The first group the *restricted* profile refuses, too. */
export const mutations: readonly (readonly [name: string, restricted: boolean, mutate: (job: V1Job) => void])[] = [
  ['a privileged container', true, (job) => void (contextOf(job).privileged = true)],
  ['privilege escalation', true, (job) => void (contextOf(job).allowPrivilegeEscalation = true)],
  ['capabilities', true, (job) => void (contextOf(job).capabilities = { drop: ['ALL'], add: ['SYS_ADMIN'] })],
  ['capabilities that are kept', true, (job) => void (contextOf(job).capabilities = {})],
  ['root', true, (job) => void (contextOf(job).runAsUser = 0)],
  ['perhaps root', true, (job) => void (contextOf(job).runAsNonRoot = false)],
  ['no seccomp profile', true, (job) => void (contextOf(job).seccompProfile = { type: 'Unconfined' })],
  ['an unmasked /proc', true, (job) => void (contextOf(job).procMount = 'Unmasked')],
  ["the machine's processes", true, (job) => void (podOf(job).hostPID = true)],
  ["the machine's network", true, (job) => void (podOf(job).hostNetwork = true)],
  ["the machine's IPC", true, (job) => void (podOf(job).hostIPC = true)],
  ['a folder of the machine', true, (job) => void podOf(job).volumes?.push({ name: 'host', hostPath: { path: '/' } })],
  ['a port of the machine', true, (job) => void (agentOf(job).ports = [{ containerPort: 80, hostPort: 80 }])],
  ['kernel settings', true, (job) => void (podContextOf(job).sysctls = [{ name: 'kernel.msgmax', value: '1' }])],
  ['a service account token', false, (job) => void (podOf(job).automountServiceAccountToken = true)],
  ['a service account', false, (job) => void (podOf(job).serviceAccountName = 'admin')],
  ['a writable root', false, (job) => void (contextOf(job).readOnlyRootFilesystem = false)],
  ['no limits', false, (job) => void (agentOf(job).resources = {})],
  ['another registry', false, (job) => void (agentOf(job).image = 'evil.example/agent:1')],
  ['another container', false, (job) => void podOf(job).containers.push(structuredClone(agentOf(job)))],
  [
    'the Secret beside the agent',
    false,
    (job) => void agentOf(job).volumeMounts?.push({ name: 'secret', mountPath: '/secret' }),
  ],
  ['a variable of its own', false, (job) => void agentOf(job).env?.push({ name: 'LD_PRELOAD', value: '/x.so' })],
  ['variables from a Secret', false, (job) => void (agentOf(job).envFrom = [{ secretRef: { name: 'x' } }])],
  ['a volume without a limit', false, (job) => void podOf(job).volumes?.push({ name: 'more', emptyDir: {} })],
]

function podOf(job: V1Job) {
  const pod = job.spec?.template.spec
  if (pod === undefined) throw new Error('a Job without a pod')
  return pod
}

function agentOf(job: V1Job): V1Container {
  const [agent] = podOf(job).containers
  if (agent === undefined) throw new Error('a pod without a container')
  return agent
}

const contextOf = (job: V1Job) => (agentOf(job).securityContext ??= {})
const podContextOf = (job: V1Job) => (podOf(job).securityContext ??= {})
