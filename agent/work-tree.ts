import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { lstat, open, readFile, readlink } from 'node:fs/promises'
import { MAX_BLOB_BYTES } from '#shared/job/result.ts'
import type { ChangedPath } from '#shared/job/result.ts'

type Mode = Extract<ChangedPath, { kind: 'write' }>['mode']

/** What lies at a path now. `object` is git's name for the content; `bytes` is absent where it is larger than a blob may be. */
export interface Found {
  readonly mode: Mode
  readonly object: string
  readonly bytes: Buffer | undefined
}

/** A path of the repository (one latin1 character per byte) as the bytes of a path on this disk. */
export function onDisk(directory: string, path: string): Buffer {
  return Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(path, 'latin1')])
}

/** What lies at a path that is no folder. Links are not followed, and a file that was exchanged for a pipe or a device after the listing is not waited for. */
export async function readContent(directory: string, path: string): Promise<Found> {
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
export async function readNested(directory: string, path: string): Promise<Found | undefined> {
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
