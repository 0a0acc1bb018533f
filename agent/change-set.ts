import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { sha256 } from '#shared/digest.ts'
import { MAX_BLOB_BYTES, MAX_CHANGED_PATHS } from '#shared/job/result.ts'
import type { ChangedPath } from '#shared/job/result.ts'
import { isAgentConfig } from './agent-config.ts'
import type { BaseEntry, BaseTree } from './checkout.ts'
import { Failure } from './failure.ts'
import { git } from './git.ts'
import { onDisk, readContent, readNested } from './work-tree.ts'
import type { Found } from './work-tree.ts'

/** What the agent changed, and the bytes of each written path by their digest. */
export interface ChangeSet {
  readonly changes: readonly ChangedPath[]
  readonly blobs: ReadonlyMap<string, Buffer>
}

/**
 * Compares the work tree with the base commit by walking and hashing it. The repository's `.git` is not read: the agent
 * may have written it. Untracked files count unless the `.gitignore` files of the base, not the agent's, ignore them.
 */
export async function collectChanges(options: {
  readonly directory: string
  readonly base: BaseTree
  readonly maxBytes: number
  /** For files of ours; outside the work tree. */
  readonly scratch: string
  readonly path: string
  readonly signal: AbortSignal
}): Promise<ChangeSet> {
  const { directory, base, signal } = options
  const folders = parentFolders(base.entries.keys())
  const changes = new Map<string, ChangedPath>()
  const blobs = new Map<string, Buffer>()
  const present = new Set<string>()
  let total = 0

  const write = (path: string, found: Found): void => {
    const name = readable(path)
    if (found.bytes === undefined)
      throw new Failure('result_too_large', `${name} is larger than ${MAX_BLOB_BYTES} bytes`)
    total += found.bytes.length
    if (total > options.maxBytes)
      throw new Failure('result_too_large', `The changed files are larger than ${options.maxBytes} bytes`)
    const blob = sha256(found.bytes)
    blobs.set(blob, found.bytes)
    add(path, { kind: 'write', path: name, mode: found.mode, blob, bytes: found.bytes.length })
  }
  const add = (path: string, change: ChangedPath): void => {
    if (changes.size === MAX_CHANGED_PATHS) throw tooMany()
    changes.set(path, change)
  }
  /** Compares a path of the base; a folder that is neither a file nor a gitlink now is left to the caller. */
  const compare = (path: string, entry: BaseEntry, found: Found): void => {
    present.add(path)
    if (found.mode !== entry.mode || found.object !== entry.object) write(path, found)
  }

  let level = ['']
  while (level.length > 0) {
    signal.throwIfAborted()
    const next: string[] = []
    const unknown: string[] = []
    const repositories = new Map<string, Found>()
    for (const folder of level) {
      for (const dirent of await readdir(onDisk(directory, folder), { withFileTypes: true, encoding: 'buffer' })) {
        const path = folder + dirent.name.toString('latin1')
        if (path === '.git' || isAgentConfig(path)) continue
        const entry = base.entries.get(path)
        if (!dirent.isDirectory()) {
          if (!dirent.isFile() && !dirent.isSymbolicLink()) continue
          if (entry === undefined) unknown.push(path)
          else compare(path, entry, await readContent(directory, path))
          continue
        }
        const nested = await readNested(directory, path)
        if (entry?.mode === '160000' && nested !== undefined) compare(path, entry, nested)
        else if (entry?.mode === '160000' && (await readdir(onDisk(directory, path))).length === 0) present.add(path)
        else if (nested !== undefined) {
          repositories.set(path, nested)
          unknown.push(path)
        } else if (folders.has(path)) next.push(`${path}/`)
        else unknown.push(`${path}/`)
      }
    }
    const ignored = await ignoredPaths(unknown, options)
    const added = unknown.filter((path) => !ignored.has(path))
    const files = added.filter((path) => !path.endsWith('/'))
    // Before any of them is read.
    if (changes.size + files.length > MAX_CHANGED_PATHS) throw tooMany()
    for (const path of files) write(path, repositories.get(path) ?? (await readContent(directory, path)))
    next.push(...added.filter((path) => path.endsWith('/')))
    level = next
  }
  for (const path of base.entries.keys()) {
    if (!present.has(path) && !isAgentConfig(path)) add(path, { kind: 'delete', path: readable(path) })
  }
  return { changes: [...changes].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, change]) => change), blobs }
}

function tooMany(): Failure {
  return new Failure('result_too_large', `More than ${MAX_CHANGED_PATHS} paths are changed`)
}

function parentFolders(paths: Iterable<string>): Set<string> {
  const folders = new Set<string>()
  for (const path of paths) {
    for (
      let end = path.lastIndexOf('/');
      end > 0 && !folders.has(path.slice(0, end));
      end = path.lastIndexOf('/', end - 1)
    ) {
      folders.add(path.slice(0, end))
    }
  }
  return folders
}

/** Asks git, in a folder that holds nothing but the base's `.gitignore` files, which of the paths they ignore. */
async function ignoredPaths(
  paths: readonly string[],
  options: Parameters<typeof collectChanges>[0],
): Promise<Set<string>> {
  if (paths.length === 0 || options.base.ignores.size === 0) return new Set()
  const cwd = await mkdtemp(join(options.scratch, 'ignore-'))
  try {
    const call = { cwd, path: options.path, signal: options.signal }
    await git(['init', '--quiet', '--template=', '.'], call)
    for (const [path, text] of options.base.ignores) {
      await mkdir(dirname(onDisk(cwd, path).toString('latin1')), { recursive: true })
      await writeFile(onDisk(cwd, path), text)
    }
    const stdin = Buffer.from(paths.map((path) => `${path}\0`).join(''), 'latin1')
    const answer = await git(['check-ignore', '-z', '--stdin'], { ...call, stdin, accept: [1] })
    return new Set(answer.toString('latin1').split('\0'))
  } finally {
    await rm(cwd, { recursive: true, force: true })
  }
}

function readable(path: string): string {
  const bytes = Buffer.from(path, 'latin1')
  const text = bytes.toString()
  if (!Buffer.from(text).equals(bytes)) throw new Failure('agent_failed', `A changed path is not UTF-8: ${text}`)
  if (text.length > 4096) throw new Failure('result_too_large', 'A changed path is longer than 4096 characters')
  return text
}
