import { INPUTS } from './installation.ts'
import { apply, getAll, keyOf, type Kubectl, type Resource } from './kubectl.ts'
import { nameOf, type Planned } from './plan.ts'
import { unready } from './stages.ts'

/** A Job of something else, or one that failed, is replaced; the same one is left alone. */
export async function jobsToRun(kubectl: Kubectl, resources: readonly Resource[]) {
  const jobs = resources.filter(({ kind }) => kind === 'Job')
  const live = new Map((await getAll(kubectl, jobs)).map((each) => [keyOf(each), each]))
  return jobs.map((job) => {
    const before = live.get(keyOf(job))
    if (before === undefined) return { job, change: 'created' as const }
    const isSame = before.metadata.annotations?.[INPUTS] === job.metadata.annotations?.[INPUTS]
    return { job, change: isSame && unready(before)?.failed !== true ? ('unchanged' as const) : ('replaced' as const) }
  })
}

/** Runs the Jobs that have to, and says what became of each. */
export async function runJobs(kubectl: Kubectl, jobs: readonly Resource[], namespace: string): Promise<Planned[]> {
  const toRun = await jobsToRun(kubectl, jobs)
  for (const { job, change } of toRun) {
    const { name, namespace: where = namespace } = job.metadata
    // Foreground: its pods are gone when the next one begins.
    const removal = ['delete', 'job', name, '--namespace', where, '--cascade', 'foreground', '--timeout', '60s']
    if (change === 'replaced') await kubectl(removal)
    if (change !== 'unchanged') await apply(kubectl, [job])
  }
  return toRun.map(({ job, change }) => ({ name: nameOf(job, namespace), change, differs: [] }))
}
