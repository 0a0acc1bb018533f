import { inject } from 'vitest'
import type { Image } from './images.ts'
import { kubectl, list } from './kubectl.ts'
import { NAMESPACE, STRANGER_NAMESPACE } from './platform.ts'
import { eventually } from '../support/wait.ts'

/** A pod with Node and a script, under the same restrictions as everything of ours. */
function manifest(namespace: string, name: string, script: string, images: readonly Image[]): object {
  const [image] = images
  if (image === undefined) throw new Error('no image')
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace },
    spec: {
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: 'main',
          image: `${image.newName}:${image.newTag}`,
          command: ['node', '--input-type=module', '--eval', script],
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
        },
      ],
    },
  }
}

/** Starts a script in a pod and leaves it running. */
export async function startPod(
  name: string,
  script: string,
  { images } = inject('installed'),
): Promise<{ stop(): Promise<void> }> {
  await kubectl(['apply', '--filename', '-'], JSON.stringify(manifest(NAMESPACE, name, script, images)))
  const gone = ['--grace-period', '0', '--force', '--ignore-not-found']
  return { stop: async () => void (await kubectl(['delete', 'pod', name, '--namespace', NAMESPACE, ...gone])) }
}

/** Runs a script in a pod of a namespace of its own, which is made for it and removed; returns what it printed. */
export async function runAsStranger(script: string): Promise<string> {
  const namespace = STRANGER_NAMESPACE
  await kubectl(['create', 'namespace', namespace])
  try {
    await kubectl(
      ['apply', '--filename', '-'],
      JSON.stringify(manifest(namespace, 'stranger', script, inject('installed').images)),
    )
    const phase = await eventually(
      async () => {
        const [pod] = await list('pods', namespace)
        return ['Succeeded', 'Failed'].find((end) => end === pod?.status?.phase)
      },
      { what: 'the pod to end', timeoutMs: 90_000, everyMs: 500 },
    )
    const said = await kubectl(['logs', 'stranger', '--namespace', namespace])
    if (phase === 'Failed') throw new Error(said)
    return said
  } finally {
    await kubectl(['delete', 'namespace', namespace, '--timeout', '60s'])
  }
}
