import { spawn } from 'node:child_process'

/** How to start a child. */
export interface ChildOptions {
  /** The whole environment but PATH. */
  readonly env?: Readonly<Record<string, string>>
  readonly args?: readonly string[]
  /** The line that says it is ready; everything up to it is waited for. */
  readonly until?: RegExp
}

/** A process of this benchmark. */
export interface Child {
  readonly pid: number
  /** The match of `until`. */
  readonly ready: RegExpExecArray | undefined
  /** Standard output so far. */
  output(): string
  /** The exit code; fails with what it printed when that is not 0. */
  readonly ended: Promise<string>
  /** SIGTERM, and the end waited for. */
  stop(): Promise<void>
}

const alive = new Set<() => void>()
process.once('exit', () => alive.forEach((kill) => kill()))

/** Starts a script with this Node. Resolves once it has printed the line that was asked for. */
export async function startChild(script: string, { env = {}, args = [], until }: ChildOptions = {}): Promise<Child> {
  const child = spawn(process.execPath, [script, ...args], {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const kill = () => child.kill('SIGKILL')
  alive.add(kill)
  let output = ''
  let errors = ''
  const ended = new Promise<string>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      alive.delete(kill)
      if (code === 0) resolve(output)
      else reject(new Error(`${script} ended (${signal ?? `status ${code}`}):\n${(errors + output).slice(-2_000)}`))
    })
  })
  ended.catch(() => {})
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
  child.stdout.setEncoding('utf8')
  const ready = await Promise.race([
    ended.then(() => undefined),
    new Promise<RegExpExecArray | undefined>((resolve) => {
      if (until === undefined) resolve(undefined)
      child.stdout.on('data', (text: string) => {
        output += text
        const match = until?.exec(output)
        if (match) resolve(match)
      })
    }),
  ])
  if (until !== undefined && ready === undefined) throw new Error(`${script} ended without a line ${until}`)
  return {
    pid: child.pid ?? 0,
    ready,
    output: () => output,
    ended,
    async stop() {
      child.kill('SIGTERM')
      await ended.catch(() => {})
    },
  }
}
