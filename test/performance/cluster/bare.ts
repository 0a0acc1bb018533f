import { readFileSync } from 'node:fs'
import { list, notReady, type Resource } from '../../cluster/kubectl.ts'
import { apply, NAMESPACE, render } from '../../cluster/platform.ts'
import type { Installed } from '../../cluster/setup.ts'
import { eventually } from '../../support/wait.ts'

/** How many there are: each is asked once in a round and at zero again in the next one. */
const BARE = 4

/** Knative Services like the gateway's, of another program: the floor under every function. */
export async function startBare({ overlay }: Installed): Promise<string[]> {
  const rendered = await render(overlay)
  const gateway = rendered.find(
    ({ kind, metadata }) => kind === 'Service' && metadata.name === 'webhook-gateway',
  ) as Resource & { spec: { template: { metadata: object; spec: { containers: object[] } } } }
  const { template } = gateway.spec
  const [container] = template.spec.containers
  const script = readFileSync(new URL('../bare-server.mjs', import.meta.url), 'utf8')
  const command = ['node', '--input-type=module', '--eval', script]
  const names = Array.from({ length: BARE }, (_, each) => `bare-${each}`)
  const { volumes: _, serviceAccountName: __, ...spec } = template.spec as Record<string, unknown>
  await apply(
    names.map((name) => ({
      apiVersion: 'serving.knative.dev/v1',
      kind: 'Service',
      metadata: { name, namespace: NAMESPACE, labels: { 'networking.knative.dev/visibility': 'cluster-local' } },
      spec: {
        template: {
          metadata: template.metadata,
          spec: { ...spec, containers: [{ ...container, command, env: [], volumeMounts: [] }] },
        },
      },
    })),
  )
  await eventually(async () => notReady(await list('ksvc', NAMESPACE)).length === 0, {
    what: 'the bare Services to be ready',
    timeoutMs: 120_000,
    everyMs: 500,
  })
  return names
}
