import { existsSync, globSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { basename, join, resolve } from 'node:path'
import { build, type Metafile, type Plugin } from 'esbuild'
import { defaultWorkflow } from '#shared/workflow/default-workflow.ts'
import { fillCache, LOADER } from './compile-cache.ts'

// npm run build: one bundle per function, `dist/<function>/main.js`, and one for the agent's runner. Each has a budget,
// because a cold start pays for every byte (kysely and pg: 140 ms from node_modules, 26 ms bundled).
//
// main.js turns the compile cache on and loads program.js, which is the function; the cache lies beside them.

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
  agent: 60_000,
}

/** A unit of deployment: a function, or the agent's runner. */
export interface Unit {
  readonly name: string
  readonly entry: string
}

/** A module that is loaded when it is asked for, and what it takes: a file of its own beside `main.js`. */
export interface Apart {
  readonly file: string
  readonly bytes: number
}

/** What became of one bundle; no problems means that it may ship. */
export interface Bundle {
  readonly name: string
  readonly bytes: number
  /** Not read at a start, so no part of the budget. */
  readonly apart?: readonly Apart[]
  readonly problems: readonly string[]
}

/** All that gets a bundle. */
export function units(folder: string = root): Unit[] {
  const functions = list(join(folder, 'functions')).map((name) => ({
    name,
    entry: join(folder, 'functions', name, 'main.ts'),
  }))
  const agent = join(folder, 'agent', 'main.ts')
  return existsSync(agent) ? [...functions, { name: 'agent', entry: agent }] : functions
}

/** Which units may hold a package that costs much or may do much. A name that ends in a slash stands for a scope. */
function heavyPackages(): Record<string, readonly string[]> {
  const functions = list(join(root, 'functions'))
  const forge = ['label-router', 'approval-gate', 'run-gateway', 'change-publisher', 'status-reporter']
  return {
    '@kubernetes/client-node': ['stage-dispatcher'],
    '@octokit/': forge,
    '@gitbeaker/': forge,
    // The agent's pod knows neither the database nor the broker.
    pg: functions,
    kysely: functions,
    cloudevents: functions,
    // Nobody at the start: modules that are loaded when they are asked for hold these.
    'prom-client': [],
    '@opentelemetry/': [],
  }
}

/** Bundles one unit into `folder/<name>` and holds it against its limits. */
export async function bundle({ name, entry }: Unit, folder: string): Promise<Bundle> {
  if (!existsSync(entry)) return { name, bytes: 0, problems: ['has no main.ts'] }
  const target = join(folder, name)
  rmSync(target, { recursive: true, force: true })
  const { metafile, found } = await bundleFile(entry, join(target, 'program.js'))
  writeFileSync(join(target, 'package.json'), '{ "type": "module" }\n')
  writeFileSync(join(target, 'main.js'), LOADER)
  const text = readFileSync(join(target, 'program.js'), 'utf8')
  const apart: Apart[] = []
  const problems = problemsOf(name, text, metafile)
  for (const [file, source] of found) {
    const made = await bundleFile(source, join(target, file))
    const bytes = readFileSync(join(target, file)).length
    apart.push({ file, bytes })
    for (const lost of made.found.keys()) problems.push(`${file} loads ${lost}, which nobody bundles`)
    for (const point of crashPoints())
      if (readFileSync(join(target, file), 'utf8').includes(point)) problems.push(`holds the crash point ${point}`)
  }
  fillCache(target, [...found.keys()])
  return { name, bytes: Buffer.byteLength(text), apart, problems }
}

/** One file, and the modules of ours that it loads only when they are asked for. */
async function bundleFile(entry: string, outfile: string) {
  const found = new Map<string, string>()
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile,
    bundle: true,
    minify: true,
    metafile: true,
    sourcemap: true,
    sourcesContent: false,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    // pg is CommonJS and asks for Node's own modules by require. A long name: esbuild does not know it and gives out short ones.
    banner: {
      js: "import{createRequire as bannerCreateRequire}from'node:module';const require=bannerCreateRequire(import.meta.url);",
    },
    external: ['pg-native'],
    plugins: [withoutCrashPoints, withWorkflow, loadedLater(found), builtinsAsTheyAre],
    logLevel: 'warning',
  })
  return { metafile, found }
}

/** A dynamic import of a file of ours becomes an import of the file that stands beside `main.js`. */
const loadedLater = (found: Map<string, string>): Plugin => ({
  name: 'loaded-later',
  setup(plugin) {
    plugin.onResolve({ filter: /^(\.|#shared).*\.ts$/ }, async ({ kind, path, resolveDir }) => {
      if (kind !== 'dynamic-import') return undefined
      const source = await plugin.resolve(path, { kind: 'import-statement', resolveDir })
      const file = basename(path).replace(/\.ts$/, '.js')
      if ((found.get(file) ?? source.path) !== source.path)
        return { errors: [{ text: `two modules are called ${file}` }] }
      found.set(file, source.path)
      return { path: `./${file}`, external: true }
    })
  },
})

/**
 * Node's own modules by `require`. Importing one reads all it exports, and `http` then loads the whole of fetch for its
 * export `WebSocket`: a third of a start.
 */
const builtinsAsTheyAre: Plugin = {
  name: 'builtins-as-they-are',
  setup(plugin) {
    plugin.onResolve({ filter: /^[a-z][\w:/]*$/ }, ({ path, kind }) =>
      kind === 'import-statement' && isBuiltin(path) ? { path, namespace: 'builtin' } : undefined,
    )
    plugin.onLoad({ filter: /./, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports=require('${path}')`,
    }))
  },
}

const withoutCrashPoints: Plugin = {
  name: 'without-crash-points',
  setup(plugin) {
    const path = join(import.meta.dirname, 'crash-point.noop.ts')
    plugin.onResolve({ filter: /\/crash-point\.ts$/ }, () => ({ path }))
  },
}

/** Stages are data: they are checked when the bundle is made, not at every cold start. */
const withWorkflow: Plugin = {
  name: 'with-workflow',
  setup(plugin) {
    plugin.onLoad({ filter: /\/default-workflow\.ts$/ }, async () => {
      const workflow = JSON.stringify(await defaultWorkflow())
      return { contents: `export const defaultWorkflow = async () => (${workflow})`, loader: 'js' }
    })
  },
}

function problemsOf(name: string, text: string, metafile: Metafile): string[] {
  const problems: string[] = []
  const budget = budgets[name] ?? usualBudget
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
    if (/^shared\/db\/migrat|^shared\/crash-point|\.test\.ts$|^(test|deploy\/local)\//.test(file))
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

function kilobytes(bytes: number): string {
  return `${Math.ceil(bytes / 1000)} KB`
}

function list(folder: string): string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .toSorted()
}

if (import.meta.main) {
  const dist = join(root, 'dist')
  mkdirSync(dist, { recursive: true })
  const bundles = await Promise.all(units().map((unit) => bundle(unit, dist)))
  for (const { name, bytes, apart = [], problems } of bundles) {
    const later = apart.map((one) => `, ${one.file} ${kilobytes(one.bytes)} when it is asked for`).join('')
    console.log(
      `${name.padEnd(20)} ${kilobytes(bytes).padStart(8)}  ${problems.length === 0 ? 'ok' : problems.join('; ')}${later}`,
    )
  }
  const failed = bundles.filter(({ problems }) => problems.length > 0)
  if (bundles.length === 0 || failed.length > 0) {
    console.error(bundles.length === 0 ? 'nothing to bundle' : `failed: ${failed.map(({ name }) => name).join(', ')}`)
    process.exitCode = 1
  }
}
