import { applied } from './applied.ts'
import { judge } from './checks.ts'
import type { Config } from './config.ts'
import { connectRepository } from './connect.ts'
import { dryRun } from './dry-run.ts'
import { gather } from './facts.ts'
import { InstallError } from './install-error.ts'
import { describe, describeSecrets, READ_AT_START, withVersions, type Installation } from './installation.ts'
import { readInventory, union, writeInventory } from './inventory.ts'
import { runJobs } from './jobs.ts'
import { getAll, type Kubectl, type Resource } from './kubectl.ts'
import type { Output } from './output.ts'
import { prune } from './prune.ts'
import { ready } from './ready.ts'
import { secret } from './secrets.ts'
import { selfTest } from './self-test.ts'
import { STAGES, stageOf, type Stage } from './stages.ts'

/** Checks, then brings the cluster to what the configuration says. Cut off anywhere, it can be run again. */
export async function install(
  kubectl: Kubectl,
  config: Config,
  out: Output,
  { isDry }: { isDry: boolean },
): Promise<void> {
  const { wanted, setupImage } = await check(kubectl, config, out)
  if (isDry) {
    out.planned(await dryRun(kubectl, config, wanted))
    return out.line('nothing was changed')
  }
  const since = performance.now()
  const { namespace } = config
  const inStage = (stage: Stage, resources: readonly Resource[]) => resources.filter((each) => stageOf(each) === stage)
  const apply = async (resources: readonly Resource[]) => out.planned(await applied(kubectl, resources, namespace))
  /** Noted before it is made, so that an uninstall finds it whatever comes in between. */
  const note = async (resources: readonly Resource[]) => {
    const { made } = await readInventory(kubectl, namespace)
    await writeInventory(kubectl, namespace, { made: union(made, resources), setupImage })
  }

  await out.step('namespaces', async () => {
    const namespaces = inStage('namespaces', wanted)
    // The platform's own first: it holds the inventory.
    const own = namespaces.filter(({ metadata }) => metadata.name === namespace)
    await apply(own)
    await note(wanted)
    await apply(namespaces.filter((each) => !own.includes(each)))
  })
  const secrets = await describeSecrets(kubectl, config)
  await out.step('secrets', async () => {
    await note(secrets)
    await apply(secrets)
  })
  const versions = await getAll(
    kubectl,
    READ_AT_START.map((name) => secret(name, namespace)),
  )
  const versioned = withVersions(wanted, versions)
  for (const stage of STAGES.slice(2)) {
    const resources = inStage(stage, versioned)
    if (resources.length === 0) continue
    await out.step(stage, async () => {
      if (stage === 'migrations') out.planned(await runJobs(kubectl, resources, namespace))
      else await apply(resources)
      await ready(kubectl, resources, stage, out)
    })
  }
  await sameBroker(kubectl, config)
  await prune(kubectl, config, [...wanted, ...secrets], out)

  for (const repository of config.repositories) await connectRepository(kubectl, config, repository, out)
  await selfTest(kubectl, config, out)
  out.line(`installed in ${((performance.now() - since) / 1000).toFixed(0)} s`)
  const [first] = config.repositories
  out.line(
    first === undefined
      ? 'next: npm run bootstrap -- connect OWNER/NAME, then set the label run:dev on an issue there'
      : `next: set the label run:dev on an issue of ${first.name}`,
  )
}

/** All checks at once; what fails ends it before anything is changed. */
export async function check(kubectl: Kubectl, config: Config, out: Output): Promise<Installation> {
  const installation = await describe(kubectl, config)
  const { foreignNamespaces, missingImages, wanted } = installation
  const facts = await gather(kubectl, config, wanted)
  const images = { file: config.images.file, missing: missingImages }
  const findings = judge({ ...facts, foreignNamespaces, images }, config)
  out.findings(findings)
  const failed = findings.filter(({ level }) => level === 'fails').length
  if (failed > 0)
    throw new InstallError(
      `${failed} of ${findings.length} checks fail; nothing was changed`,
      'mend them and try again',
    )
  return installation
}

/** The functions were told where the broker is before it was there. */
async function sameBroker(kubectl: Kubectl, { namespace, broker }: Config): Promise<void> {
  const [settings, live] = await getAll(kubectl, [
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'codex-k8s', namespace } },
    { apiVersion: 'eventing.knative.dev/v1', kind: 'Broker', metadata: { name: 'default', namespace } },
  ])
  const [told, is] = [settings?.data?.['brokerUrl'], live?.status?.address?.url]
  if (is !== undefined && is !== told && broker.url === undefined)
    throw new InstallError(
      `the broker is at ${is}, the functions were told ${told}`,
      `set broker.url to ${is} and install again`,
    )
}
