import type { WriteScope } from '#shared/job/bundle.ts'
import type { ChangedPath } from '#shared/job/result.ts'
import { changesNothing, fileProblem } from './file-rules.ts'
import type { Write } from './file-rules.ts'
import { MAX_FINDINGS, display } from './finding.ts'
import type { Finding, Problem, RefusalCode } from './finding.ts'
import { branchProblem, messageProblem } from './message-rules.ts'
import type { Message } from './message-rules.ts'
import { pathProblem } from './path-rules.ts'
import { scopeRules } from './scope-rules.ts'
import { treeRules } from './tree-rules.ts'
import type { BaseTree } from './tree-rules.ts'

/** One attempt's change set and what it is held against. Scope, branch and base are ours; the rest is the agent's. */
export interface ChangeSet {
  readonly scope: WriteScope
  readonly branch: string
  readonly changes: readonly ChangedPath[]
  readonly base: BaseTree
  /** The uploaded bytes by SHA-256, already checked against it. */
  readonly blobs: (digest: string) => Uint8Array | undefined
  readonly message: Message
}

/** One path of the commit to make. A file that is written has one of the two modes of an ordinary file. */
export type PublishedFile =
  | { readonly kind: 'write'; readonly path: string; readonly mode: '100644' | '100755'; readonly content: Uint8Array }
  | { readonly kind: 'delete'; readonly path: string }

/** What becomes of a change set. A refusal is whole: nothing of a set with one bad path is published. */
export type Decision =
  | { readonly kind: 'publish'; readonly files: readonly PublishedFile[] }
  | { readonly kind: 'nothing-to-publish' }
  | {
      readonly kind: 'reject'
      /** The code of the first finding. */
      readonly reason: RefusalCode
      /** One for each path at fault, in the order of the change set, at most 20. */
      readonly findings: readonly [Finding, ...Finding[]]
      /** How many findings are not listed. */
      readonly omitted: number
    }

/** Decides whether a change set may become a commit. Writes that leave the base as it is do not count. */
export function decide({ scope, branch, changes, base, blobs, message }: ChangeSet): Decision {
  const contentOf = (write: Write): Uint8Array | undefined => blobs(write.blob)
  const effective = changes.filter(
    (change) => change.kind === 'delete' || !changesNothing(change, contentOf(change), base.get(change.path)),
  )
  if (effective.length === 0) return { kind: 'nothing-to-publish' }
  if (scope.kind === 'none')
    return refuse([{ code: 'outside_scope', path: null, detail: 'the stage may not change files' }])
  if (effective.length > scope.maxFiles) {
    // Alone, so that a hundred thousand paths cost nothing more.
    const detail = `${effective.length} paths are changed, ${scope.maxFiles} are allowed`
    return refuse([{ code: 'too_many_files', path: null, detail }])
  }

  const findings: Finding[] = []
  const report = (problem: Problem | undefined, path: string | null): void => {
    if (problem) findings.push({ ...problem, path: path === null ? null : display(path) })
  }
  report(branchProblem(branch), null)
  report(messageProblem(message), null)

  const scopeProblem = scopeRules(scope)
  const treeProblem = treeRules(base, effective)
  const seen = new Set<string>()
  const files: PublishedFile[] = []
  let bytes = 0
  for (const change of effective) {
    const { path } = change
    const before = base.get(path)
    const problem =
      pathProblem(path, before !== undefined) ??
      (seen.has(path) ? ({ code: 'path_duplicate', detail: 'is changed twice' } as const) : undefined) ??
      scopeProblem(path)
    seen.add(path)
    if (change.kind === 'delete') {
      report(problem ?? deletionProblem(before?.type), path)
      files.push({ kind: 'delete', path })
      continue
    }
    const content = contentOf(change)
    report(problem ?? treeProblem(path) ?? fileProblem(change, content, before, scope.kind), path)
    bytes += content?.length ?? 0
    if (content && isFile(change.mode)) files.push({ kind: 'write', path, mode: change.mode, content })
  }
  if (bytes > scope.maxBytes) {
    report({ code: 'too_many_bytes', detail: `${bytes} bytes are written, ${scope.maxBytes} are allowed` }, null)
  }
  const [first, ...others] = findings
  return first ? refuse([first, ...others]) : { kind: 'publish', files }
}

function deletionProblem(type: 'blob' | 'tree' | 'commit' | undefined): Problem | undefined {
  if (type === 'blob') return undefined
  if (type === 'commit') return { code: 'submodule', detail: 'is a submodule' }
  return { code: 'not_in_base', detail: 'is deleted and is no file of the base' }
}

function isFile(mode: Write['mode']): mode is '100644' | '100755' {
  return mode === '100644' || mode === '100755'
}

function refuse(findings: readonly [Finding, ...Finding[]]): Decision {
  const [first, ...others] = findings
  const listed = others.slice(0, MAX_FINDINGS - 1)
  return { kind: 'reject', reason: first.code, findings: [first, ...listed], omitted: others.length - listed.length }
}
