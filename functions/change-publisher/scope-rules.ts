import picomatch from 'picomatch'
import type { WriteScope } from '#shared/job/bundle.ts'
import type { Problem } from './finding.ts'
import { fold, foldersOf } from './path-rules.ts'

type Kind = WriteScope['kind']

const writable: Readonly<Record<Kind, { readonly test: (path: string) => boolean; readonly what: string }>> = {
  none: { test: () => false, what: 'no files' },
  markdown: { test: (path) => /\.mdx?$/.test(path), what: 'only .md and .mdx files' },
  prompts: { test: (path) => path.startsWith('prompts/') || path.endsWith('.md'), what: 'only prompts/ and .md files' },
  code: { test: () => true, what: 'all files' },
}

/** The stage's own limits on where a path may lie. They hold for deletions too, and so for both ends of a rename. */
export function scopeRules(scope: WriteScope): (path: string) => Problem | undefined {
  const options = { dot: true, nonegate: true, windows: false }
  const patterns = scope.protected.map((glob) => ({ glob, matches: picomatch(glob, { ...options, nocase: true }) }))
  const { test, what } = writable[scope.kind]
  return (path) => {
    // Also folded, because a file system that ignores case does so beyond the letters that a pattern's `nocase` knows.
    const folded = fold(path)
    // And what lies below: `.gitmodules/a` would take the place of a file that is protected.
    const places = [path, folded].flatMap((name) => [name, ...foldersOf(name)])
    const pattern = patterns.find(({ matches }) => places.some((place) => matches(place)))
    if (pattern) return { code: 'protected_path', detail: `is protected by ${pattern.glob}` }
    return test(folded) ? undefined : { code: 'outside_scope', detail: `is outside the stage's scope: ${what}` }
  }
}
