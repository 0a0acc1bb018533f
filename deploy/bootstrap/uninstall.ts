import { setTimeout as delay } from 'node:timers/promises'
import type { Config } from './config.ts'
import { InstallError } from './install-error.ts'
import { remove } from './remove.ts'
import { emptyInventory, ours, readInventory } from './inventory.ts'
import { getAll, list, type Kubectl, type Resource } from './kubectl.ts'
import type { Output } from './output.ts'
import { OWNER_LABEL } from './render.ts'
import { secret } from './secrets.ts'
import { runSetup } from './setup-job.ts'
import { stageOf, STAGES, type Stage } from './stages.ts'

/** Longest wait for a namespace to go, milliseconds. */
const PATIENCE_MS = 300_000

/** What stays with the data of a trial: without the Secrets nobody could read them. */
const WITH_DATA = /^(codex-k8s-postgres|codex-k8s-database|codex-k8s-hooks|codex-k8s-run-token)$/

/**
 * Takes everything back that the inventory names and that carries our label. A database of one's own is never touched; a
 * trial's stays, with its namespace and Secrets, unless its data are to go.
 */
export async function uninstall(
  kubectl: Kubectl,
  config: Config,
  out: Output,
  { withData }: { withData: boolean },
): Promise<void> {
  const { namespace } = config
  const [home] = await getAll(kubectl, [namespaceOf(namespace)])
  if (home === undefined) return out.line(`nothing is installed in ${namespace}`)
  const { made, setupImage } = await readInventory(kubectl, namespace)
  const live = await ours(kubectl, namespace, made)
  const isOurs = home.metadata.labels?.[OWNER_LABEL] === namespace
  if (live.length === 0 && !isOurs) return out.line(`nothing of this installation is in ${namespace}`)
  const keepsData = !withData && live.some(({ kind }) => kind === 'StatefulSet')

  await out.step('webhooks', async () => disconnect(kubectl, config, setupImage, out))
  const inStage = (...stages: readonly Stage[]) => live.filter((each) => stages.includes(stageOf(each)))
  await out.step('eventing', async () => remove(kubectl, inStage('eventing'), '--timeout', '120s'))
  await out.step('functions', async () => {
    const gone = inStage('functions')
    await remove(kubectl, [...gone, ...live.filter(({ kind }) => kind === 'Job')], '--timeout', '120s')
    for (const selector of ['serving.knative.dev/service', ...gone.flatMap(podsOfDeployment)])
      await podsGone(kubectl, namespace, selector)
  })
  const runs = live.filter(({ kind, metadata }) => kind === 'Namespace' && metadata.name !== namespace)
  await out.step('run namespaces', async () => remove(kubectl, runs, '--timeout', `${PATIENCE_MS / 1000}s`))

  const rest = STAGES.flatMap((stage) => inStage(stage)).filter(({ kind }) => kind !== 'Namespace')
  const stays = ({ kind, metadata }: Resource) =>
    keepsData && (metadata.name === 'postgres' || (kind === 'Secret' && WITH_DATA.test(metadata.name)))
  await out.step('the rest', async () => {
    await remove(
      kubectl,
      rest.filter((each) => !stays(each)),
      '--timeout',
      '120s',
    )
    if (withData)
      await kubectl([
        'delete',
        'persistentvolumeclaims',
        '--namespace',
        namespace,
        '--selector',
        'app.kubernetes.io/name=postgres',
        '--ignore-not-found',
      ])
    if (isOurs && !keepsData) await remove(kubectl, [home], '--timeout', `${PATIENCE_MS / 1000}s`)
    else if (!keepsData) await remove(kubectl, [emptyInventory(namespace)])
  })
  if (keepsData)
    out.line(
      `the trial database stays in ${namespace}: uninstall --with-data takes it away, an install goes on with it`,
    )
  else out.line(isOurs ? 'nothing is left' : `namespace ${namespace} was there before and stays`)
}

const namespaceOf = (name: string): Resource => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })

/** The forge is told while the database and its credentials are there. What cannot be told is said. */
async function disconnect(kubectl: Kubectl, { namespace }: Config, image: string, out: Output): Promise<void> {
  const hint = 'webhooks at the forge may be left: remove those whose URL ends in /hooks/github/... by hand'
  const secrets = await getAll(
    kubectl,
    ['codex-k8s-database', 'codex-k8s-forge', 'codex-k8s-hooks'].map((name) => secret(name, namespace)),
  )
  if (secrets.length < 3 || image === '') return out.line(`  ${hint}`)
  try {
    const isDone = await runSetup(
      kubectl,
      { namespace, image },
      {
        args: ['disconnect'],
        onLine: (line) => out.line('problem' in line ? `  ${line.problem}` : `  ${line.what} ${line.did}`),
      },
    )
    if (!isDone) out.line(`  ${hint}`)
  } catch (error) {
    out.line(`  ${(error as Error).message}; ${hint}`)
  }
}

/** A namespace that goes while pods are ending is looked at again only after half of the longest grace, which is 600 s. */
async function podsGone(kubectl: Kubectl, namespace: string, selector: string): Promise<void> {
  for (const began = performance.now(); ; await delay(500)) {
    const pods = await list(kubectl, 'pods', namespace, '--selector', selector)
    if (pods.length === 0) return
    if (performance.now() - began > PATIENCE_MS)
      throw new InstallError(`pods of ${selector} do not end`, `kubectl get pods --namespace ${namespace}`)
    // Whatever they were doing is in the database, and is done again by whoever installs next.
    await kubectl([
      'delete',
      'pods',
      '--namespace',
      namespace,
      '--selector',
      selector,
      '--grace-period',
      '5',
      '--wait=false',
      '--ignore-not-found',
    ])
    await delay(1_000)
  }
}

/** What selects the pods of a Deployment. */
function podsOfDeployment({ kind, spec }: Resource): string[] {
  if (kind !== 'Deployment') return []
  const { matchLabels } = (spec as { selector: { matchLabels: Record<string, string> } }).selector
  return [
    Object.entries(matchLabels)
      .map(([name, value]) => `${name}=${value}`)
      .join(','),
  ]
}
