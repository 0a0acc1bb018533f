import { createHash } from 'node:crypto'
import type { WriteScope } from '#shared/job/bundle.ts'
import type { ChangedPath } from '#shared/job/result.ts'
import type { Problem } from './finding.ts'
import type { BaseEntry } from './tree-rules.ts'

/** One file to write. */
export type Write = Extract<ChangedPath, { kind: 'write' }>

/** What is wrong with a file's type, mode or content. `before` is what the base has at its path. */
export function fileProblem(
  write: Write,
  content: Uint8Array | undefined,
  before: BaseEntry | undefined,
  kind: WriteScope['kind'],
): Problem | undefined {
  if (write.mode === '120000') return { code: 'symlink', detail: 'is a symbolic link' }
  if (write.mode === '160000' || before?.type === 'commit') return { code: 'submodule', detail: 'is a submodule' }
  if (content === undefined) return { code: 'blob_missing', detail: 'has content that was not uploaded' }
  if (content.length !== write.bytes) {
    return { code: 'blob_size_mismatch', detail: `was declared with ${write.bytes} bytes and has ${content.length}` }
  }
  if (startsWith(content, 'version https://git-lfs')) return { code: 'lfs_pointer', detail: 'is a pointer of Git LFS' }
  // Without `#!` the bit has no use for text, and a program that nobody can read is not what a reviewer should be asked for.
  if (write.mode === '100755' && before?.mode !== '100755' && (kind !== 'code' || !startsWith(content, '#!'))) {
    return {
      code: 'executable',
      detail: 'becomes executable and does not start with #!, or the stage may not write code',
    }
  }
  return undefined
}

/** True for a write that leaves the base as it is. */
export function changesNothing(write: Write, content: Uint8Array | undefined, before: BaseEntry | undefined): boolean {
  return before?.mode === write.mode && content !== undefined && before.object === gitObject(content)
}

function gitObject(content: Uint8Array): string {
  return createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex')
}

function startsWith(content: Uint8Array, ascii: string): boolean {
  return Buffer.from(ascii).every((byte, index) => content[index] === byte)
}
