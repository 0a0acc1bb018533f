import type { Job, JobView, Launcher } from '../launcher.ts'

/** A place to run that is a map: it keeps the API server's promise that a name is taken once. */
export interface MapLauncher extends Launcher {
  readonly jobs: Map<string, JobView>
  /** Every creation that made something, in order. */
  readonly created: Job[]
  readonly stopped: string[]
  /** What happens instead of a creation: an answer, or a throw. */
  instead: ((job: Job) => ReturnType<Launcher['create']> | undefined) | undefined
}

/** Starts empty. */
export function mapLauncher(): MapLauncher {
  const jobs = new Map<string, JobView>()
  const launcher: MapLauncher = {
    jobs,
    created: [],
    stopped: [],
    instead: undefined,
    async create(job) {
      const other = await launcher.instead?.(job)
      if (other !== undefined) return other
      const existing = jobs.get(job.name)
      if (existing !== undefined) return { kind: 'exists', uid: existing.uid, run: existing.run }
      const view = { uid: `uid ${jobs.size}`, run: job.run, state: 'running' } as const
      jobs.set(job.name, view)
      launcher.created.push(job)
      return { kind: 'created', uid: view.uid, run: job.run }
    },
    async get({ name, run }) {
      const job = jobs.get(name)
      return job?.run === run ? job : undefined
    },
    async stop({ name, run }) {
      launcher.stopped.push(name)
      const job = jobs.get(name)
      if (job?.run === run) jobs.set(name, { ...job, state: 'ended', end: 'it was stopped' })
    },
  }
  return launcher
}
