import { setTimeout as delay } from 'node:timers/promises'
import type { Kubectl, Resource } from './kubectl.ts'
import { KubectlError, list } from './kubectl.ts'

/** What the Job's program does; deploy/setup/main.ts. */
export interface SetupTask {
  /** `connect`, `disconnect` or `await-ping`, with what it is about. */
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Each line it says, once. */
  onLine(line: SetupLine): void
}

/** A step that was done, or what is wrong. */
export type SetupLine =
  | { readonly what: string; readonly did: string }
  | { readonly problem: string; readonly mend: string }

/** Longest time until its pod says something, milliseconds; an image may have to be fetched. */
const START_MS = 180_000

/** Runs the Job and hears what it says. True when it ended well. */
export async function runSetup(
  kubectl: Kubectl,
  { namespace, image }: { readonly namespace: string; readonly image: string },
  task: SetupTask,
): Promise<boolean> {
  const job = setupJob(namespace, image, task)
  const created = JSON.parse(
    await kubectl(['create', '--filename', '-', '--output', 'json'], JSON.stringify(job)),
  ) as Resource
  const { name } = created.metadata
  const inNamespace = ['--namespace', namespace]
  try {
    let heard = 0
    for (const began = performance.now(); ; await delay(300)) {
      const [live] = await list(kubectl, 'jobs.batch', namespace, '--field-selector', `metadata.name=${name}`)
      const log = await kubectl(['logs', ...inNamespace, `job/${name}`]).catch(() => '')
      const lines = log.split('\n').slice(0, -1)
      for (const text of lines.slice(heard)) task.onLine(lineOf(text))
      heard = lines.length
      const ended = live?.status?.conditions?.find(
        ({ type, status }) => status === 'True' && (type === 'Complete' || type === 'Failed'),
      )
      if (ended !== undefined) return ended.type === 'Complete'
      if (live === undefined) throw new KubectlError(`somebody removed the Job ${name}`)
      if (heard === 0 && performance.now() - began > START_MS)
        throw new KubectlError(`the Job ${name} does not start: ${await whyNot(kubectl, namespace, name)}`)
    }
  } finally {
    await kubectl([
      'delete',
      'job',
      name,
      ...inNamespace,
      '--ignore-not-found',
      '--wait=false',
      '--cascade',
      'background',
    ])
  }
}

function lineOf(text: string): SetupLine {
  try {
    return JSON.parse(text) as SetupLine
  } catch {
    return { what: 'setup', did: text.slice(0, 300) }
  }
}

async function whyNot(kubectl: Kubectl, namespace: string, name: string): Promise<string> {
  const pods = await list(kubectl, 'pods', namespace, '--selector', `job-name=${name}`)
  const states = pods.flatMap(({ status }) => {
    const { containerStatuses = [] } = (status ?? {}) as {
      containerStatuses?: { state?: { waiting?: { reason?: string; message?: string } } }[]
    }
    return containerStatuses.flatMap(({ state }) =>
      state?.waiting ? [`${state.waiting.reason}: ${state.waiting.message ?? ''}`] : [],
    )
  })
  return states[0] ?? `kubectl describe job ${name} --namespace ${namespace}`
}

function setupJob(namespace: string, image: string, { args, env = {} }: SetupTask) {
  const [command = ''] = args
  const needsForge = command !== 'await-ping'
  const fromConfig = (key: string) => ({ valueFrom: { configMapKeyRef: { name: 'codex-k8s', key } } })
  const mounts = [
    { name: 'forge', path: '/var/run/codex-k8s/forge' },
    { name: 'hooks', path: '/var/run/codex-k8s/hooks' },
  ]
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      generateName: `setup-${command}-`,
      namespace,
      labels: { 'app.kubernetes.io/part-of': 'codex-k8s', 'app.kubernetes.io/component': 'setup' },
    },
    spec: {
      backoffLimit: 0,
      activeDeadlineSeconds: 600,
      // Removed by who made it; by the cluster, if that was cut off.
      ttlSecondsAfterFinished: 600,
      template: {
        metadata: { labels: { 'app.kubernetes.io/component': 'setup' } },
        spec: {
          restartPolicy: 'Never',
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          securityContext: {
            runAsNonRoot: true,
            runAsUser: 65532,
            runAsGroup: 65532,
            seccompProfile: { type: 'RuntimeDefault' },
          },
          containers: [
            {
              name: 'setup',
              image,
              args,
              securityContext: {
                allowPrivilegeEscalation: false,
                readOnlyRootFilesystem: true,
                capabilities: { drop: ['ALL'] },
              },
              resources: { requests: { cpu: '50m', memory: '64Mi' }, limits: { memory: '256Mi' } },
              env: [
                { name: 'DATABASE_URL', valueFrom: { secretKeyRef: { name: 'codex-k8s-database', key: 'url' } } },
                ...(needsForge
                  ? [
                      { name: 'GITHUB_URL', ...fromConfig('githubUrl') },
                      { name: 'FORGE_AUTH_DIR', value: '/var/run/codex-k8s/forge' },
                      { name: 'SECRETS_DIR', value: '/var/run/codex-k8s/hooks' },
                    ]
                  : []),
                ...Object.entries(env).map(([name, value]) => ({ name, value })),
              ],
              volumeMounts: needsForge
                ? mounts.map(({ name, path }) => ({ name, mountPath: path, readOnly: true }))
                : [],
            },
          ],
          volumes: needsForge ? mounts.map(({ name }) => ({ name, secret: { secretName: `codex-k8s-${name}` } })) : [],
        },
      },
    },
  }
}
