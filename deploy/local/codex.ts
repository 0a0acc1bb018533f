import { execFile, spawn } from 'node:child_process'
import { existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { sha256 } from '#shared/digest.ts'
import { probeSandbox as probe } from '../../agent/sandbox.ts'

/** Older than this, a lock is nobody's, even if its process id is in use again. Milliseconds. */
const STALE = 15 * 60_000

const targets: Readonly<Record<string, string>> = {
  x64: 'x86_64-unknown-linux-musl',
  arm64: 'aarch64-unknown-linux-musl',
}

/** The Codex CLI's native binary and what it calls itself. */
export interface Codex {
  readonly binary: string
  readonly version: string
}

/**
 * Finds the Codex CLI, or fetches it (404 MB) into `folder` when the lockfile there is not what was installed last.
 * Several processes may ask at once: one fetches, the others wait. `binary` names a CLI to use instead.
 */
export async function ensureCodex(
  say: (line: string) => void,
  options: { readonly binary?: string; readonly folder?: string } = {},
): Promise<Codex> {
  if (options.binary !== undefined) return { binary: options.binary, version: await versionOf(options.binary) }
  const target = targets[process.arch]
  if (process.platform !== 'linux' || target === undefined) {
    throw new Error(
      `The Codex CLI is fetched for Linux on x64 and arm64 only, not ${process.platform} on ${process.arch}. Name one that you have.`,
    )
  }
  const folder = options.folder ?? join(import.meta.dirname, '../../agent/codex')
  const platform = join(folder, 'node_modules/@openai', `codex-linux-${process.arch}`)
  const stamp = join(folder, 'node_modules', '.codex-k8s-stamp')
  const wanted = sha256(readFileSync(join(folder, 'package-lock.json')))
  const binary = join(platform, 'vendor', target, 'bin/codex')
  const installed = (): boolean => readOrEmpty(stamp) === wanted && existsSync(binary)

  if (!installed()) {
    const unlock = await lock(join(folder, '.install-lock'), installed, say)
    try {
      if (!installed()) {
        say('Fetching the Codex CLI, once (404 MB on disk) ...')
        const from = Date.now()
        await npmCi(folder)
        if (!existsSync(binary)) throw new Error(`The Codex CLI could not be fetched: npm left out ${binary}`)
        writeFileSync(stamp, wanted)
        say(`The Codex CLI is here (${Math.round((Date.now() - from) / 1000)} s)`)
      }
    } finally {
      unlock()
    }
  }
  return { binary, version: await versionOf(binary) }
}

/** Does the CLI's sandbox really run a command on this machine? */
export function probeSandbox(binary: string): Promise<boolean> {
  return probe(binary)
}

function versionOf(binary: string): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(binary, ['--version'], { timeout: 10_000 }, (error, stdout) => {
      const version = /\d+\.\d+\.\d+\S*/.exec(stdout)?.[0]
      if (error === null && version !== undefined) resolve(version)
      else reject(new Error(`${binary} does not run as a Codex CLI: ${firstLine(error?.message ?? stdout)}`))
    })
  })
}

/** Takes the lock, or waits until its holder is done. A lock whose process is gone is taken over. */
async function lock(file: string, done: () => boolean, say: (line: string) => void): Promise<() => void> {
  for (let told = false; ;) {
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx' })
      return () => rmSync(file, { force: true })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST')
        throw new Error(`The Codex CLI could not be fetched: ${firstLine((error as Error).message)}`, { cause: error })
    }
    if (isStale(file)) {
      // Of several that see this, one can rename it away; the others find it gone or a new one in its place.
      const aside = `${file}.${process.pid}`
      try {
        if (isStale(file)) renameSync(file, aside)
      } catch {
        // Another process was first.
      }
      rmSync(aside, { force: true })
      continue
    }
    if (!told) say('Another process is fetching the Codex CLI; waiting for it ...')
    told = true
    await pause(250)
    if (done()) return () => undefined
  }
}

function isStale(file: string): boolean {
  try {
    const pid = Number(readFileSync(file, 'utf8'))
    const age = Date.now() - statSync(file).mtimeMs
    // A lock without a number is between its creation and its first byte.
    if (age > STALE || pid === 0) return age > 5_000
    process.kill(pid, 0)
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH'
  }
}

function npmCi(folder: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(
      'npm',
      ['ci', '--ignore-scripts', '--include=optional', '--no-audit', '--no-fund', '--loglevel=error'],
      {
        cwd: folder,
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    )
    let said = ''
    child.stderr.on('data', (bytes: Buffer) => (said = (said + bytes.toString()).slice(-64_000)))
    child.once('error', (error) =>
      reject(new Error(`The Codex CLI could not be fetched: npm did not start (${error.message})`)),
    )
    child.once('close', (code) => {
      if (code === 0) return resolve()
      const full = /ENOSPC|no space left/i.test(said)
      const reason = full
        ? 'the disk is full'
        : (/npm (?:error|ERR!) (?!code )(.+)/.exec(said)?.[1] ?? `npm ended with ${code}`)
      reject(new Error(`The Codex CLI could not be fetched: ${reason}`))
    })
  })
}

function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

function firstLine(text: string): string {
  return text.trim().split('\n')[0] ?? ''
}
