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
import { dirname, join } from 'node:path'
import { bornAt, type JobFile } from './process-launcher.ts'

/** What a timer can count; a longer one would fire at once. */
const LONGEST_MS = 2 ** 31 - 1

/** From SIGTERM to SIGKILL, milliseconds. */
const GRACE_MS = 5_000

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

let why: string | undefined
const end = (reason: string) => {
  if (why !== undefined) return
  why = reason
  signal('SIGTERM')
  setTimeout(() => signal('SIGKILL'), GRACE_MS)
}
const deadline = setTimeout(() => end('it took longer than it may'), Math.min(job.seconds * 1_000, LONGEST_MS))
const watcher = watch(folder, () => existsSync(path('stop')) && end('it was stopped'))
if (existsSync(path('stop'))) end('it was stopped')
process.on('SIGTERM', () => end('it was stopped'))
process.on('SIGINT', () => end('it was stopped'))

child.once('error', (error) => finish(`it could not be started: ${error.message}`))
child.once('exit', (status, killed) => {
  clearTimeout(deadline)
  // Whatever the agent left running in its group.
  signal('SIGKILL')
  finish(why ?? (killed === null ? `it ended with status ${status}` : `it was killed by ${killed}`))
})

function signal(name: 'SIGTERM' | 'SIGKILL'): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, name)
  } catch {
    // The group is gone.
  }
}

function finish(how: string): void {
  watcher.close()
  writeFileSync(path('end.json.new'), JSON.stringify({ how, at: new Date().toISOString() }))
  renameSync(path('end.json.new'), path('end.json'))
  process.exit(0)
}
