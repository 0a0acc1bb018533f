import { spawn, type ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'

/** How to start a process. */
export interface ChildOptions {
  readonly script: string
  /** Its whole environment besides PATH. */
  readonly env: Readonly<Record<string, string>>
  /** Options of Node itself. */
  readonly node?: readonly string[]
  /** The line that says that it listens. */
  readonly ready: RegExp
  /** Told of every line it prints. */
  readonly say?: (line: string) => void
}

/** A process that is there again whatever happens to it: the same command, the same ports. */
export interface Child {
  readonly pid: number
  /** How often it was started again. */
  readonly restarts: number
  /** SIGKILL; resolves when its successor listens. */
  kill(): Promise<void>
  signal(name: NodeJS.Signals): void
  /** Ends for good. */
  close(): Promise<void>
}

/** Longest time a process may take to listen, milliseconds: on a busy machine ten of them start at once. */
const START_MS = 60_000

/** Starts a process and keeps it: one that ends is started again until `close`. */
export async function startChild(options: ChildOptions): Promise<Child> {
  let closing = false
  let [restarts, everListened] = [-1, false]
  let child: ChildProcess
  let listening: Promise<void>
  const start = () => {
    restarts += 1
    const started = spawn(process.execPath, [...(options.node ?? []), options.script], {
      env: { PATH: process.env['PATH'] ?? '', ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    child = started
    const said: string[] = []
    listening = new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`${options.script} does not listen`)), START_MS)
      const line = (text: string) => {
        options.say?.(text)
        if (said.length < 20) said.push(text)
        if (!options.ready.test(text)) return
        everListened = true
        resolve()
      }
      for (const stream of [started.stdout, started.stderr])
        if (stream !== null) createInterface({ input: stream }).on('line', line)
      started.once('exit', (code, signal) => {
        clearTimeout(late)
        reject(new Error(`${options.script} ended (${signal ?? code}): ${said.join('\n')}`))
        // One that ends by itself is started again as well, as its pod would be; one that never listened is misconfigured.
        if (!closing && child === started && everListened) start()
      })
    })
    listening.catch(() => {})
  }
  start()
  // Whoever ends without `close`, by Ctrl-C, leaves nobody behind.
  const atExit = () => void child.kill('SIGKILL')
  process.once('exit', atExit)
  const settled = async () => {
    for (let seen = -1; seen !== restarts;) {
      seen = restarts
      await listening.catch((error: unknown) => {
        if (seen === restarts || restarts > 50) throw error
      })
    }
  }
  await settled()
  return {
    get pid() {
      return child.pid ?? 0
    },
    get restarts() {
      return restarts
    },
    async kill() {
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL')
      await gone
      await settled()
    },
    signal: (name) => void child.kill(name),
    async close() {
      closing = true
      process.removeListener('exit', atExit)
      if (child.exitCode !== null || child.signalCode !== null) return
      const gone = new Promise((resolve) => child.once('exit', resolve))
      // A paused process hears no SIGTERM.
      child.kill('SIGKILL')
      await gone
    },
  }
}
