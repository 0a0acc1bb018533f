import type { ChangedPath } from '#shared/job/result.ts'
import type { Problem } from './finding.ts'
import { fold, foldersOf } from './path-rules.ts'

/** One path of the base commit, as a recursive listing of its tree has it. Entries of type `tree` are not needed. */
export interface BaseEntry {
  readonly mode: string
  readonly type: 'blob' | 'tree' | 'commit'
  /** Git's SHA-1 of the content. */
  readonly object: string
}

/** Path to entry, for the whole tree. A listing that the forge cut short must never get here. */
export type BaseTree = ReadonlyMap<string, BaseEntry>

/**
 * Checks writes, one after the other, against what the tree will be: the base without what the change deletes, and
 * the writes so far. Two spellings of one name are refused even where git can hold both, because a checkout on
 * macOS or Windows cannot. What the base already has may stay as it is.
 */
export function treeRules(base: BaseTree, changes: readonly ChangedPath[]): (path: string) => Problem | undefined {
  const deleted = new Set(changes.filter(({ kind }) => kind === 'delete').map(({ path }) => path))
  const files = new Set<string>()
  const folders = new Set<string>()
  const spellings = new Map<string, string>()

  const collides = (name: string): boolean => (spellings.get(fold(name)) ?? name) !== name
  const add = (path: string): void => {
    files.add(path)
    spellings.set(fold(path), path)
    for (const folder of foldersOf(path)) {
      if (folders.has(folder)) break
      folders.add(folder)
      spellings.set(fold(folder), folder)
    }
  }
  for (const [path, { type }] of base) if (type !== 'tree' && !deleted.has(path)) add(path)

  return (path) => {
    if (files.has(path)) return undefined
    const above = foldersOf(path)
    if (folders.has(path)) return { code: 'path_conflict', detail: 'is a file where a folder stays' }
    if (above.some((folder) => files.has(folder)))
      return { code: 'path_conflict', detail: 'lies in a folder where a file stays' }
    const created = [path, ...above.filter((folder) => !folders.has(folder))]
    if (created.some(collides))
      return { code: 'path_collision', detail: 'differs from another path only in case or in accents' }
    add(path)
    return undefined
  }
}
