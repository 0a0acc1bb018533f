import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { SERVICE_ACCOUNT } from '../compile-cache.ts'
import type { Bundle } from '../bundle.ts'
import { ensureCodex } from '../local/codex.ts'
import { writeLicenses } from './licenses.ts'

const root = resolve(import.meta.dirname, '..', '..')
const npmPackage = (name: string) => join(root, 'agent', 'codex', 'node_modules', name)

/** What a Dockerfile is given: a folder whose bytes follow from the sources and from nothing else. */
export interface Context {
  readonly dockerfile: string
  readonly folder: string
  /** SHA-256 over the Dockerfile and all that lies in the folder, in hex. */
  readonly digest: string
}

/** Puts what makes the base of all functions into a context. */
export function stageNode(folder: string): Context {
  fs.copyFileSync(join(import.meta.dirname, 'gather.mjs'), join(folder, 'gather.mjs'))
  return finished('node.Dockerfile', folder)
}

/** Puts a function's bundle from `dist` into a context, or the migrations'. */
export function stageFunction(dist: string, { name, packages = [] }: Bundle, folder: string): Context {
  const app = join(folder, name, 'app')
  fs.cpSync(join(dist, name), app, { recursive: true })
  keepCacheOfServices(join(app, 'cache'))
  writeLicenses(join(folder, name, 'licenses'), name, packages)
  return finished('function.Dockerfile', folder)
}

/** Puts runner, installer and Codex CLI into a context; fetches the CLI when it is not there. */
export async function stageAgent(dist: string, runner: Bundle, folder: string, say: (line: string) => void) {
  const { binary } = await ensureCodex(say)
  const target = join(folder, 'agent', 'opt', 'codex-k8s')
  fs.cpSync(join(dist, 'agent'), join(target, 'runner'), { recursive: true })
  keepCacheOfServices(join(target, 'runner', 'cache'))
  fs.copyFileSync(join(dist, 'install', 'program.js'), join(target, 'install.js'))
  fs.copyFileSync(join(dist, 'install', 'package.json'), join(target, 'package.json'))
  // 60 MB for speech, which no agent of ours has a use for.
  const filter = (path: string) => basename(path) !== 'voice'
  fs.cpSync(resolve(binary, '..', '..'), join(target, 'codex'), { recursive: true, filter })
  const cli = ['@openai/codex', `@openai/codex-linux-${process.arch}`].map(npmPackage)
  writeLicenses(join(folder, 'agent', 'licenses'), 'agent', [...(runner.packages ?? []), ...cli])
  return finished('agent.Dockerfile', folder)
}

/** Node looks for a cache of its own account; the bundler's would be dead weight. Without any it would be another image. */
function keepCacheOfServices(cache: string): void {
  const made = fs.existsSync(cache) ? fs.readdirSync(cache) : []
  const isTheirs = (name: string) => name.endsWith(`-${SERVICE_ACCOUNT}`)
  if (!made.some(isTheirs)) throw new Error(`${cache} is empty: nothing could be compiled ahead; is there a /proc?`)
  for (const each of made) if (!isTheirs(each)) fs.rmSync(join(cache, each), { recursive: true })
}

/** Takes out what differs between two machines: modes follow the umask, times the clock. */
function finished(dockerfile: string, folder: string): Context {
  const path = join(import.meta.dirname, dockerfile)
  const hash = createHash('sha256').update(fs.readFileSync(path))
  const entries = fs.readdirSync(folder, { recursive: true, encoding: 'utf8' }).toSorted()
  for (const entry of entries) {
    const at = join(folder, entry)
    const stat = fs.statSync(at)
    const isExecutable = stat.isDirectory() || (stat.mode & 0o100) !== 0
    fs.chmodSync(at, isExecutable ? 0o755 : 0o644)
    hash.update(`\0${entry}\0${isExecutable ? 'x' : '-'}\0`)
    if (stat.isFile()) hash.update(fs.readFileSync(at))
  }
  for (const entry of [...entries, '.']) fs.utimesSync(join(folder, entry), 0, 0)
  return { dockerfile: path, folder, digest: hash.digest('hex') }
}
