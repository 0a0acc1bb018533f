import { spawn } from 'node:child_process'
import {
  appendFileSync,
  existsSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  unlinkSync,
  watch,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { killProcesses } from './job-processes.ts'
import { bornAt, HEARTBEAT, type JobEnd, type JobFile } from './process-launcher.ts'

/** What a timer can count; a longer one would fire at once. */
const LONGEST_MS = 2 ** 31 - 1

/** From SIGTERM to SIGKILL, milliseconds. */
const GRACE_MS = 5_000

/** Pauses between the knocks at the dispatcher's door, milliseconds: what is longer away hears of it by its sweep. */
const KNOCKS_MS = [0, 250, 1_000, 2_000]

const [, , folder = ''] = process.argv
const path = (name: string) => join(folder, name)
const job = JSON.parse(readFileSync(path('job.json'), 'utf8')) as JobFile

// The file appears whole or not at all, so that whoever is killed in between leaves a Job that still waits.
const own = path(`supervisor.pid.${process.pid}`)
writeFileSync(own, String(process.pid))
try {
  linkSync(own, path('supervisor.pid'))
} catch {
  unlinkSync(own)
  process.exit(0) // Another one watches already.
}
unlinkSync(own)
// What really started, for whoever asks from outside: one line per process, never rewritten.
appendFileSync(
  join(dirname(folder), 'ledger.jsonl'),
  `${JSON.stringify({ at: new Date().toISOString(), folder, uid: job.uid, run: job.run, attempt: job.attempt })}\n`,
)

const output = openSync(path('output.log'), 'a', 0o600)
const [program = '', ...args] = job.command
// ulimit: no core files, no file above 2 GiB; `exec` keeps the process group's leader the agent itself.
const child = spawn('/bin/sh', ['-c', 'ulimit -c 0; ulimit -f 4194304; exec "$@"', 'sh', program, ...args], {
  cwd: path('work'),
  env: job.env,
  detached: true,
  stdio: ['ignore', output, output],
  ...(job.user !== undefined && { uid: job.user.uid, gid: job.user.gid }),
})

if (child.pid !== undefined) {
  // For whoever has to end it should we be killed.
  writeFileSync(path('agent.pid'), `${child.pid} ${bornAt(readFileSync(`/proc/${child.pid}/stat`, 'utf8'))}`)
}

let why: Omit<JobEnd, 'at'> | undefined
const end = (reason: Omit<JobEnd, 'at'>) => {
  if (why !== undefined) return
  why = reason
  signal('SIGTERM')
  setTimeout(() => signal('SIGKILL'), GRACE_MS)
}
const stopped = () => end({ how: 'it was stopped' })
const after = (seconds: number, reason: Omit<JobEnd, 'at'>) =>
  setTimeout(() => end(reason), Math.min(seconds * 1_000, LONGEST_MS))
const deadline = after(job.seconds, { how: 'it took longer than it may', cause: 'deadline' })
const silence = after(job.silentSeconds, {
  how: `it gave no sign of life for ${job.silentSeconds} seconds`,
  cause: 'silence',
})
const watcher = watch(folder, (_, name) => {
  // Timers count time of the machine being awake, so a suspended one does not make an agent look silent.
  if (name === HEARTBEAT) silence.refresh()
  else if (existsSync(path('stop'))) stopped()
})
if (existsSync(path('stop'))) stopped()
process.on('SIGTERM', stopped)
process.on('SIGINT', stopped)

child.once('error', (error) => void finish({ how: `it could not be started: ${error.message}` }))
child.once('exit', (status, killed) => {
  const how = killed === null ? `it ended with status ${status}` : `it was killed by ${killed}`
  void finish(why ?? { how })
})

function signal(name: 'SIGTERM' | 'SIGKILL'): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, name)
  } catch {
    // The group is gone.
  }
}

/** Ends whatever the agent left running, in its group or not, writes down how it ended, and says that there is something to read. */
async function finish(reason: Omit<JobEnd, 'at'>): Promise<void> {
  clearTimeout(deadline)
  clearTimeout(silence)
  watcher.close()
  signal('SIGKILL')
  await killProcesses(folder, job.user?.uid)
  writeFileSync(path('end.json.new'), JSON.stringify({ ...reason, at: new Date().toISOString() } satisfies JobEnd))
  renameSync(path('end.json.new'), path('end.json'))
  await knock()
  process.exit(0)
}

/** The knock says nothing: whoever hears it looks for itself. One that nobody hears costs a sweep. */
async function knock(): Promise<void> {
  if (job.knockUrl === undefined) return
  for (const wait of KNOCKS_MS) {
    await pause(wait)
    const url = `${job.knockUrl}/jobs/${basename(folder)}/ended`
    const heard = await fetch(url, { method: 'POST', signal: AbortSignal.timeout(10_000) }).catch(() => undefined)
    await heard?.body?.cancel()
    if (heard !== undefined && heard.status < 500) return
  }
}
