import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { bornAt } from '../../../functions/stage-dispatcher/process-launcher.ts'

/** A process that the launcher really started, by its own ledger. */
export interface StartedJob {
  readonly folder: string
  readonly run: string
  readonly attempt: number
  readonly uid: string
}

/** Kills the agent of a first attempt that is at work, with everything it started; the second attempt is let live. */
export function killAgent(jobs: readonly StartedJob[], random: () => number): boolean {
  return killOne(jobs, random, ({ folder }) => {
    const [pid = '', born] = read(join(folder, 'agent.pid')).split(' ')
    return bornAt(read(`/proc/${pid}/stat`)) === born ? -Number(pid) : undefined
  })
}

/** Kills whoever watches over the agent of a first attempt: the agent goes on, and nobody knocks when it has ended. */
export function killSupervisor(jobs: readonly StartedJob[], random: () => number): boolean {
  return killOne(jobs, random, ({ folder }) => {
    const pid = read(join(folder, 'supervisor.pid'))
    return read(`/proc/${pid}/cmdline`).split('\0').includes(folder) ? Number(pid) : undefined
  })
}

/** Ends every agent and every supervisor of a launcher's folder: they outlive who started them. */
export function killEverybody(folder: string): void {
  const isOurs = (pid: string) =>
    `${read(`/proc/${pid}/cmdline`)}${read(`/proc/${pid}/environ`)}`.includes(`${folder}/`)
  // Once more for whom a supervisor started just then.
  for (let look = 0; look < 2; look += 1)
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name) && name !== String(process.pid)))
      if (isOurs(pid)) end(Number(pid))
}

function killOne(
  jobs: readonly StartedJob[],
  random: () => number,
  alive: (job: StartedJob) => number | undefined,
): boolean {
  const pids = jobs.filter(({ attempt }) => attempt === 1).flatMap((job) => alive(job) ?? [])
  const pid = pids[Math.floor(random() * pids.length)]
  return pid ? end(pid) : false
}

function end(pid: number): boolean {
  try {
    process.kill(pid, 'SIGKILL')
    return true
  } catch {
    return false // It ended just now.
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
