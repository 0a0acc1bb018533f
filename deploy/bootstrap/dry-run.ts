import { applied } from './applied.ts'
import type { Config } from './config.ts'
import { describeSecrets, READ_AT_START, withVersions } from './installation.ts'
import { jobsToRun } from './jobs.ts'
import { getAll, type Kubectl, type Resource } from './kubectl.ts'
import { nameOf, type Planned } from './plan.ts'
import { leftovers } from './prune.ts'
import { secret } from './secrets.ts'
import { STAGES, stageOf } from './stages.ts'

/** What an installation would do, as the API server sees it, in the order it would be done. Nothing is changed. */
export async function dryRun(kubectl: Kubectl, config: Config, wanted: readonly Resource[]): Promise<Planned[]> {
  const { namespace } = config
  const live = await getAll(
    kubectl,
    READ_AT_START.map((name) => secret(name, namespace)),
  )
  const all = [...withVersions(wanted, live), ...(await describeSecrets(kubectl, config))]
  const named = [...new Set(all.flatMap(({ metadata }) => metadata.namespace ?? []))]
  const there = await getAll(kubectl, named.map(asNamespace))
  const planned = await Promise.all(
    STAGES.map(async (stage) => {
      const resources = all.filter((each) => stageOf(each) === stage)
      // In a namespace that is not there yet all of it is new, and the API server would refuse to try.
      const isTried = ({ metadata }: Resource) =>
        metadata.namespace === undefined || there.some((each) => each.metadata.name === metadata.namespace)
      const isNew = resources.filter((each) => !isTried(each))
      const tried = resources.filter(isTried)
      const jobs = await jobsToRun(kubectl, tried)
      return [
        ...isNew.map((each) => ({ name: nameOf(each, namespace), change: 'created' as const, differs: [] })),
        ...(await applied(
          kubectl,
          tried.filter(({ kind }) => kind !== 'Job'),
          namespace,
          { isDry: true },
        )),
        ...jobs.map(({ job, change }) => ({ name: nameOf(job, namespace), change, differs: [] })),
      ]
    }),
  )
  const { going } = await leftovers(kubectl, config, all)
  const removed = going.map((each) => ({ name: nameOf(each, namespace), change: 'removed' as const, differs: [] }))
  return [...planned.flat(), ...removed]
}

const asNamespace = (name: string): Resource => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
