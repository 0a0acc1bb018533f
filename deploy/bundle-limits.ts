import { globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Metafile } from 'esbuild'
import { functionNames } from './units.ts'

// What a bundle may weigh and hold.

const root = resolve(import.meta.dirname, '..')

// kysely 162 KB, pg 74, cloudevents 71 with its validator, hono 44, pino 61, ours the rest.
const usualBudget = 480_000
// The GitHub client is 79 KB more.
const forgeBudget = 600_000
const budgets: Readonly<Record<string, number>> = {
  'label-router': forgeBudget,
  'approval-gate': forgeBudget,
  'run-gateway': forgeBudget,
  'change-publisher': forgeBudget,
  'status-reporter': forgeBudget,
  'staff-api': forgeBudget,
  agent: 60_000,
  install: 5_000,
  migrate: 180_000,
  setup: forgeBudget,
}

/** Bytes that the part of a unit which is read at its start may have. */
export function budgetOf(name: string): number {
  return budgets[name] ?? usualBudget
}

/** Which units may hold a package that costs much or may do much. A name that ends in a slash stands for a scope. */
function heavyPackages(): Record<string, readonly string[]> {
  const functions = functionNames()
  const forge = [
    'label-router',
    'approval-gate',
    'run-gateway',
    'change-publisher',
    'status-reporter',
    'staff-api',
    'setup',
  ]
  return {
    '@kubernetes/client-node': ['stage-dispatcher'],
    '@octokit/': forge,
    '@gitbeaker/': forge,
    // The agent's pod knows neither the database nor the broker.
    pg: [...functions, 'migrate', 'setup'],
    kysely: [...functions, 'setup'],
    cloudevents: functions,
    // Nobody at the start: modules that are loaded when they are asked for hold these.
    'prom-client': [],
    '@opentelemetry/': [],
  }
}

/** What keeps a bundle with this text and these parts from being shipped, in words. */
export function problemsOf(name: string, text: string, metafile: Metafile): string[] {
  const problems: string[] = []
  const budget = budgetOf(name)
  const bytes = Buffer.byteLength(text)
  if (bytes > budget)
    problems.push(`${kilobytes(bytes)} is over its budget of ${kilobytes(budget)}: ${largest(metafile)}`)

  const files = Object.keys(Object.values(metafile.outputs).find((output) => output.entryPoint)?.inputs ?? {})
  const packages = new Set(files.flatMap((file) => packageOf(file) ?? []))
  for (const [heavy, holders] of Object.entries(heavyPackages())) {
    const found = [...packages].find((each) => (heavy.endsWith('/') ? each.startsWith(heavy) : each === heavy))
    if (found && !holders.includes(name)) problems.push(`holds ${found}, which only ${holders.join(', ')} may`)
  }
  const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    devDependencies: Record<string, string>
  }
  for (const each of packages) if (each in devDependencies) problems.push(`holds ${each}, a package for development`)
  for (const file of files) {
    // Only the owner of the schema changes it.
    const isOwners = /^shared\/db\/(migrat(?!ions\/digests\.json)|logins)/.test(file) && name !== 'migrate'
    if (isOwners || /^shared\/crash-point|\.test\.ts$|^(test|deploy\/local)\//.test(file))
      problems.push(`holds ${file}`)
  }
  for (const point of crashPoints()) if (text.includes(point)) problems.push(`holds the crash point ${point}`)
  return problems
}

/** The names of the crash points in a source text: `crashPoint('name')`. */
export function crashPointsIn(text: string): string[] {
  return [...text.matchAll(/\bcrashPoint\(\s*['"`]([^'"`]+)['"`]/g)].flatMap(([, name]) => name ?? [])
}

/** The names of all crash points of the repository. */
export function crashPoints(): Set<string> {
  const files = globSync(['functions/**/*.ts', 'shared/**/*.ts'], { cwd: root, exclude: ['**/*.test.ts'] })
  return new Set(files.flatMap((file) => crashPointsIn(readFileSync(join(root, file), 'utf8'))))
}

/** The folders of the packages that have a part in a bundle, from the repository's root. */
export function packageFolders(metafile: Metafile): string[] {
  const folders = Object.values(metafile.outputs).flatMap(({ inputs }) =>
    Object.keys(inputs).flatMap((file) => /.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(file)?.[0] ?? []),
  )
  return [...new Set(folders)].toSorted()
}

function packageOf(file: string): string | undefined {
  return /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1]
}

function largest(metafile: Metafile): string {
  const sizes = new Map<string, number>()
  for (const { inputs } of Object.values(metafile.outputs)) {
    for (const [file, { bytesInOutput }] of Object.entries(inputs)) {
      const owner = packageOf(file) ?? file.split('/').slice(0, 2).join('/')
      sizes.set(owner, (sizes.get(owner) ?? 0) + bytesInOutput)
    }
  }
  const top = [...sizes].toSorted(([, a], [, b]) => b - a).slice(0, 3)
  return top.map(([owner, bytes]) => `${owner} ${kilobytes(bytes)}`).join(', ')
}

/** As people read it, rounded up. */
export function kilobytes(bytes: number): string {
  return `${Math.ceil(bytes / 1000)} KB`
}
