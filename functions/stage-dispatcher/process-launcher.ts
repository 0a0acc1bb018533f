import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { chmod, chown, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { RetryLater } from '#shared/errors.ts'
import { killProcesses } from './job-processes.ts'
import type { Job, JobView, Launcher } from './launcher.ts'

/** The file in a Job's folder that the agent touches while it lives. */
export const HEARTBEAT = 'heartbeat'

/** How an attempt's process is started on this machine. */
export interface ProcessOptions {
  /** One folder per Job; the folder is the Job. */
  readonly directory: string
  /** The script that watches over one Job and outlives us. */
  readonly supervisor: string
  /** The agent: program and arguments. */
  readonly command: readonly string[]
  /** The whole environment of the agent besides what names its own folder. No secrets: what needs one gets a file. */
  readonly env: Readonly<Record<string, string>>
  /** The user that agents run as, where we may choose. */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined
  /** The dispatcher's own address, where a supervisor knocks when its Job has ended. Without one the sweep finds out. */
  readonly knockUrl?: string | undefined
}

/** What the supervisor is told. */
export interface JobFile {
  readonly uid: string
  readonly run: string
  readonly attempt: number
  readonly seconds: number
  readonly silentSeconds: number
  readonly knockUrl?: string | undefined
  readonly command: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly user?: { readonly uid: number; readonly gid: number } | undefined
}

/** What the supervisor leaves behind. */
export interface JobEnd extends Pick<JobView, 'cause'> {
  /** For a person. */
  readonly how: string
  readonly at: string
}

/**
 * Jobs as process groups on this machine. A folder appears whole under the Job's name by one rename, which fails if the
 * name is taken: the API server's 409. The supervisor is a process of its own, so Jobs outlive the dispatcher.
 */
export function processLauncher(options: ProcessOptions): Launcher {
  const { directory, supervisor } = options
  const folder = (name: string) => join(directory, name)

  const supervise = (name: string) => {
    // A second supervisor of the same Job ends by itself. One that cannot be started leaves the Job waiting, to be tried again.
    const child = spawn(process.execPath, [supervisor, folder(name)], { detached: true, stdio: 'ignore', env: {} })
    child.on('error', () => {})
    child.unref()
  }

  return {
    async create(job) {
      const existing = await view(folder(job.name))
      if (existing !== undefined) {
        if (existing.state === 'waiting') supervise(job.name)
        return { kind: 'exists', uid: existing.uid, run: existing.run }
      }
      const uid = randomUUID()
      let fresh: string | undefined
      try {
        await mkdir(directory, { recursive: true, mode: 0o711 })
        fresh = await mkdtemp(join(directory, '.new-'))
        await fill(fresh, folder(job.name), uid, job, options)
        await rename(fresh, folder(job.name))
      } catch (error) {
        if (fresh !== undefined) await rm(fresh, { recursive: true, force: true })
        const other = await view(folder(job.name))
        if (other !== undefined) return { kind: 'exists', uid: other.uid, run: other.run }
        throw new RetryLater(`the Job ${job.name} could not be written`, { cause: error })
      }
      supervise(job.name)
      return { kind: 'created', uid, run: job.run }
    },

    async get({ name, run }) {
      const job = await view(folder(name))
      return job?.run === run ? job : undefined
    },

    async stop({ name, run }) {
      const job = await view(folder(name))
      if (job?.run !== run) return
      if (job.state === 'ended') return killOrphan(folder(name))
      await writeFile(join(folder(name), 'stop'), '')
      // Without a supervisor there is nobody to obey; the one that starts now sees the file and ends at once.
      if (job.state === 'waiting') supervise(name)
    },
  }
}

async function fill(
  fresh: string,
  target: string,
  uid: string,
  job: Job,
  { command, env, user, knockUrl }: ProcessOptions,
): Promise<void> {
  const work = join(fresh, 'work')
  await mkdir(work, { mode: 0o700 })
  // A folder of the agent's own, so that it can remove the token once it has read it; the rest of the Job is ours.
  const secret = join(fresh, 'secret')
  await mkdir(secret, { mode: 0o700 })
  const token = join(secret, 'token')
  const heartbeat = join(fresh, HEARTBEAT)
  await writeFile(heartbeat, '', { mode: 0o600 })
  await writeFile(token, `${job.tokens.run}\n${job.tokens.model}\n`, { mode: 0o600 })
  const file: JobFile = {
    uid,
    run: job.run,
    attempt: job.attempt,
    seconds: job.seconds,
    silentSeconds: job.silentSeconds,
    knockUrl,
    command,
    env: {
      ...env,
      WORK_DIR: join(target, 'work'),
      RUN_TOKEN_FILE: join(target, 'secret', 'token'),
      HEARTBEAT_FILE: join(target, HEARTBEAT),
    },
    user,
  }
  await writeFile(join(fresh, 'job.json'), JSON.stringify(file), { mode: 0o600 })
  await chmod(fresh, 0o711)
  if (user !== undefined) for (const path of [work, secret, token, heartbeat]) await chown(path, user.uid, user.gid)
}

async function view(folder: string): Promise<JobView | undefined> {
  const job = await json<JobFile>(join(folder, 'job.json'))
  if (job === undefined) return undefined
  const { uid, run } = job
  const end = await json<JobEnd>(join(folder, 'end.json'))
  if (end !== undefined)
    return { uid, run, state: 'ended', end: end.how, ...(end.cause !== undefined && { cause: end.cause }) }
  const pid = Number(await text(join(folder, 'supervisor.pid')))
  if (!pid) return { uid, run, state: 'waiting' }
  if (await watches(pid, folder)) return { uid, run, state: 'running' }
  return { uid, run, state: 'ended', end: 'whoever watched over the agent was killed' }
}

/** Ends the processes of an agent whose supervisor was killed. Its time of birth tells its group from a later owner of the pid. */
async function killOrphan(folder: string): Promise<void> {
  if ((await text(join(folder, 'end.json'))) !== undefined) return
  const [pid, born] = ((await text(join(folder, 'agent.pid'))) ?? '').split(' ')
  if (pid && born && bornAt(await text(`/proc/${pid}/stat`)) === born) {
    try {
      process.kill(-Number(pid), 'SIGKILL')
    } catch {
      // It went by itself.
    }
  }
  await killProcesses(folder, (await json<JobFile>(join(folder, 'job.json')))?.user?.uid)
}

/** Field 22 of `/proc/<pid>/stat`, clock ticks since boot; the name of the program before it may hold anything. */
export function bornAt(stat: string | undefined): string | undefined {
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
}

/** A pid may have been given to another process: the command line tells. */
async function watches(pid: number, folder: string): Promise<boolean> {
  const commandLine = await text(`/proc/${pid}/cmdline`)
  return commandLine?.split('\0').includes(folder) ?? false
}

async function text(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined)
}

async function json<T>(path: string): Promise<T | undefined> {
  const content = await text(path)
  return content === undefined ? undefined : (JSON.parse(content) as T)
}
