import { globSync, readFileSync } from 'node:fs'
import { join, posix, resolve } from 'node:path'

/** The repository as rules see it: path to text. Rules take it as a value, so that each can be shown to bite. */
export type Files = ReadonlyMap<string, string>

/** One import or re-export statement. */
export interface Import {
  /** As written. */
  readonly from: string
  /** Path in the repository when it is one of our files. */
  readonly path: string | undefined
  readonly typeOnly: boolean
  /** Imported names; `*` for all. */
  readonly names: readonly string[]
}

/** All files of ours that rules look at. */
export function readRepository(): Files {
  const root = resolve(import.meta.dirname, '..', '..')
  const folders = 'agent,api,cli,console,deploy,eventing,functions,knative,shared,test'
  const patterns = [`{${folders}}/**/*.{ts,yaml,sql,json}`, '*.ts', 'package.json', 'package-lock.json', '.npmrc']
  const paths = globSync(patterns, { cwd: root, exclude: ['**/node_modules/**'] }).toSorted()
  return new Map(paths.map((path) => [path, readFileSync(join(root, path), 'utf8')]))
}

/** The files below a folder whose names end as given. */
export function under(files: Files, folder: string, ending = '.ts'): [path: string, text: string][] {
  return [...files].filter(([path]) => path.startsWith(folder) && path.endsWith(ending))
}

/** Names of the folders directly below a folder. */
export function foldersIn(files: Files, folder: string): string[] {
  const names = [...files.keys()].filter((path) => path.startsWith(folder)).map((path) => path.slice(folder.length))
  return [...new Set(names.filter((name) => name.includes('/')).map((name) => name.slice(0, name.indexOf('/'))))]
}

/** Tests and what only they use. */
export function isTest(path: string): boolean {
  return path.endsWith('.test.ts') || path.startsWith('test/') || path.includes('/testing/')
}

// One character class for the clause: alternatives below a repetition would take exponential time on a near miss.
const statement = /^(?:import|export)\s+(type\s+)?([\w$*{][\w$\s,*{}]*?)\s*from\s+['"]([^'"]+)['"]/gm
const bare = /(?:^import\s+|\bimport\(\s*)['"]([^'"]+)['"]/gm

/** What a file imports or exports again. */
export function importsOf(path: string, text: string): Import[] {
  const found = [...text.matchAll(statement)].map(([, type, clause = '', from = '']): Import => {
    const listed = /\{([^}]*)\}/.exec(clause)?.[1]?.split(',') ?? []
    const names = listed.flatMap((each) => /^\s*(?:type\s+)?([\w$]+)/.exec(each)?.[1] ?? [])
    const typeOnly = type !== undefined || (listed.length > 0 && listed.every((each) => /^\s*(type\s|$)/.test(each)))
    return { from, path: inRepository(path, from), typeOnly, names: clause.includes('*') ? ['*'] : names }
  })
  const others = [...text.matchAll(bare)].map(([, from = '']): Import => ({
    from,
    path: inRepository(path, from),
    typeOnly: false,
    names: ['*'],
  }))
  return [...found, ...others]
}

function inRepository(path: string, from: string): string | undefined {
  if (/^#(shared|api)\//.test(from)) return from.slice(1)
  if (from.startsWith('.')) return posix.join(posix.dirname(path), from)
  return undefined
}
