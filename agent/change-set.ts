import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { lstat, mkdir, mkdtemp, open, readFile, readdir, readlink, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { sha256 } from '#shared/digest.ts'
import { MAX_BLOB_BYTES, MAX_CHANGED_PATHS } from '#shared/job/result.ts'
import type { ChangedPath } from '#shared/job/result.ts'
import { isAgentConfig } from './agent-config.ts'
import type { BaseEntry, BaseTree } from './checkout.ts'
import { Failure } from './failure.ts'
import { git } from './git.ts'

/** What the agent changed, and the bytes of each written path by their digest. */
export interface ChangeSet {
  readonly changes: readonly ChangedPath[]
  readonly blobs: ReadonlyMap<string, Buffer>
}

type Mode = Extract<ChangedPath, { kind: 'write' }>['mode']

/** What lies at a path now. `object` is git's name for the content; `bytes` is absent where it is larger than a blob may be. */
interface Found {
  readonly mode: Mode
  readonly object: string
  readonly bytes: Buffer | undefined
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
    if (changes.size === MAX_CHANGED_PATHS)
      throw new Failure('result_too_large', `More than ${MAX_CHANGED_PATHS} paths are changed`)
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
    for (const path of unknown) {
      if (ignored.has(path)) continue
      if (path.endsWith('/')) next.push(path)
      else write(path, repositories.get(path) ?? (await readContent(directory, path)))
    }
    level = next
  }
  for (const path of base.entries.keys()) {
    if (!present.has(path) && !isAgentConfig(path)) add(path, { kind: 'delete', path: readable(path) })
  }
  return { changes: [...changes].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, change]) => change), blobs }
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

/** Links are not followed, and a file that was exchanged for a pipe or a device after the listing is not waited for. */
async function readContent(directory: string, path: string): Promise<Found> {
  const file = onDisk(directory, path)
  const stat = await lstat(file)
  if (stat.isSymbolicLink()) return found('120000', await readlink(file, { encoding: 'buffer' }))
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const { size, mode } = await handle.stat()
    const gitMode = (mode & 0o100) === 0 ? '100644' : '100755'
    if (size <= MAX_BLOB_BYTES) return found(gitMode, await handle.readFile())
    const hash = createHash('sha1').update(`blob ${size}\0`)
    for await (const chunk of handle.createReadStream({ autoClose: false })) hash.update(chunk)
    return { mode: gitMode, object: hash.digest('hex'), bytes: undefined }
  } finally {
    await handle.close()
  }
}

function found(mode: Mode, bytes: Buffer): Found {
  const object = createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex')
  return { mode, object, bytes: bytes.length > MAX_BLOB_BYTES ? undefined : bytes }
}

/** A repository inside the work tree is a gitlink to the commit it is at; to no commit where that cannot be told. */
async function readNested(directory: string, path: string): Promise<Found | undefined> {
  const metadata = `${path}/.git`
  if ((await lstat(onDisk(directory, metadata)).catch(() => undefined)) === undefined) return undefined
  const head = await readSmall(directory, `${metadata}/HEAD`)
  const ref = /^ref: (refs\/[\w./-]+)$/.exec(head)?.[1]
  const text = ref === undefined || ref.includes('..') ? head : await readSmall(directory, `${metadata}/${ref}`)
  const commit = /^[0-9a-f]{40}$/.test(text) ? text : '0'.repeat(40)
  return { mode: '160000', object: commit, bytes: Buffer.from(commit) }
}

async function readSmall(directory: string, path: string): Promise<string> {
  const file = onDisk(directory, path)
  const stat = await lstat(file).catch(() => undefined)
  return stat?.isFile() && stat.size < 1024 ? (await readFile(file, 'latin1')).trim() : ''
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

function onDisk(directory: string, path: string): Buffer {
  return Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(path, 'latin1')])
}

function readable(path: string): string {
  const bytes = Buffer.from(path, 'latin1')
  const text = bytes.toString()
  if (!Buffer.from(text).equals(bytes)) throw new Failure('agent_failed', `A changed path is not UTF-8: ${text}`)
  if (text.length > 4096) throw new Failure('result_too_large', 'A changed path is longer than 4096 characters')
  return text
}
