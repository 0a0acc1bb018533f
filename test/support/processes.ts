import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { onTestFinished } from 'vitest'

/** How to start a child. */
export interface SpawnOptions {
  /** The whole environment: a child gets nothing from the test's own but PATH. */
  readonly env?: Readonly<Record<string, string>>
  readonly args?: readonly string[]
  readonly cwd?: string
}

/** How a process ended. */
export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** A Node process that a test started. */
export interface NodeProcess {
  readonly pid: number
  /** Everything printed so far on stdout and stderr, line by line. */
  readonly lines: readonly string[]
  readonly exited: Promise<Exit>
  /** The first line, past or to come, that matches; fails with all lines when there is none in time or the process ends. */
  waitForLine(pattern: RegExp, timeoutMs?: number): Promise<RegExpExecArray>
  /** Sends the signal and waits for the end. Without effect on a process that has ended. */
  kill(signal?: NodeJS.Signals): Promise<Exit>
}

/** Starts a script with the Node that runs the test. It is killed at the end of the test, whatever becomes of the test. */
export function spawnNode(script: string, { env = {}, args = [], cwd }: SpawnOptions = {}): NodeProcess {
  const child = spawn(process.execPath, [script, ...args], {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd === undefined ? {} : { cwd }),
  })
  const lines: string[] = []
  const watchers = new Set<() => void>()
  const tell = () => watchers.forEach((watcher) => watcher())
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line)
      tell()
    })
  }
  let ended = false
  // 'close' and not 'exit': by then every line has been read.
  const exited = new Promise<Exit>((resolve) => {
    child.once('close', (code, signal) => {
      ended = true
      tell()
      resolve({ code, signal })
    })
  })
  const kill = (signal: NodeJS.Signals = 'SIGKILL') => {
    child.kill(signal)
    return exited
  }
  onTestFinished(async () => void (await kill()))

  return {
    pid: child.pid ?? 0,
    lines,
    exited,
    kill,
    async waitForLine(pattern, timeoutMs = 10_000) {
      for (let seen = 0, end = performance.now() + timeoutMs; ;) {
        for (; seen < lines.length; seen++) {
          const match = pattern.exec(lines[seen] ?? '')
          if (match) return match
        }
        const left = end - performance.now()
        if (ended || left <= 0) {
          const why = ended ? 'the process ended' : `waited ${timeoutMs} ms`
          throw new Error(`${why} without a line ${pattern}; it printed:\n${lines.join('\n')}`)
        }
        await new Promise<void>((resolve) => {
          const timer = setTimeout(wake, left)
          watchers.add(wake)
          function wake() {
            clearTimeout(timer)
            watchers.delete(wake)
            resolve()
          }
        })
      }
    },
  }
}

/** How the process ended; fails with what it printed when it does not. */
export async function endOf({ exited, lines }: NodeProcess, timeoutMs = 12_000): Promise<Exit> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    const tell = () => reject(new Error(`it did not end within ${timeoutMs} ms; it printed:\n${lines.join('\n')}`))
    timer = setTimeout(tell, timeoutMs)
  })
  return Promise.race([exited, late]).finally(() => clearTimeout(timer))
}
