import type { WriteScope } from '#shared/job/bundle.ts'
import type { ChangedPath } from '#shared/job/result.ts'
import { sha256 } from '#shared/digest.ts'
import { protectedPaths } from '#shared/workflow/protected-paths.ts'
import { createHash } from 'node:crypto'

type Mode = Extract<ChangedPath, { kind: 'write' }>['mode']

/** A change and, for a write, the bytes that were uploaded for it; `undefined` when they were not. */
export type Step = { readonly change: ChangedPath; readonly content?: Uint8Array }

/** A write of `content`, declared truthfully. */
export function write(path: string, content: string | Uint8Array = `text of ${path}\n`, mode: Mode = '100644'): Step {
  const bytes = Buffer.from(content)
  return { change: { kind: 'write', path, mode, blob: sha256(bytes), bytes: bytes.length }, content: bytes }
}

/** A deletion. */
export function remove(path: string): Step {
  return { change: { kind: 'delete', path } }
}

/** A tree entry with this content. */
export function entry(content: string, mode = '100644', type: 'blob' | 'commit' = 'blob') {
  const object = createHash('sha1')
    .update(`blob ${Buffer.byteLength(content)}\0${content}`)
    .digest('hex')
  return { mode, type, object }
}

/** The tree all sets start from. */
export const base = new Map([
  ['README.md', entry('# Example\n')],
  ['.github/workflows/ci.yml', entry('on: push\n')],
  ['CODEOWNERS', entry('* @owners\n')],
  ['docs/guide.md', entry('guide\n')],
  ['docs/caf\u00e9.md', entry('menu\n')],
  // As macOS used to write it: not in normal form C.
  ['docs/re\u0301sume\u0301.md', entry('past\n')],
  ['drivers/aux.c', entry('int aux;\n')],
  ['prompts/review.txt', entry('Review it.\n')],
  ['scripts/build.sh', entry('#!/bin/sh\n', '100755')],
  ['scripts/gradle', entry('@echo off\n', '100755')],
  ['scripts/latest', entry('build.sh', '120000')],
  ['src/main.ts', entry('main()\n')],
  ['src/util/text.ts', entry('text()\n')],
  ['vendor/library', entry('', '160000', 'commit')],
])

/** The scope of a stage that may write code, as the default workflow has it but smaller. */
export const codeScope: WriteScope = {
  kind: 'code',
  protected: protectedPaths.map(({ glob }) => glob),
  maxFiles: 50,
  maxBytes: 100_000,
}

/** What the good and the hostile sets have in common unless they say otherwise. */
export interface Overrides {
  readonly scope?: Partial<WriteScope>
  readonly branch?: string
  readonly message?: Partial<{ title: string; summary: string; tests: string }>
}

/** The argument of `decide` for some steps on the common base. */
export function changeSet(steps: readonly Step[], { scope, branch, message }: Overrides = {}) {
  const blobs = new Map(
    steps.flatMap(({ change, content }) => (change.kind === 'write' && content ? [[change.blob, content]] : [])),
  )
  return {
    scope: { ...codeScope, ...scope },
    branch: branch ?? 'agent/7-k3x9q2',
    changes: steps.map(({ change }) => change),
    base,
    blobs: (digest: string) => blobs.get(digest),
    message: { title: 'Fix the greeting', summary: 'It greets by name.', tests: 'npm test', ...message },
  }
}
