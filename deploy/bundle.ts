import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { basename, join, resolve } from 'node:path'
import { build, type Plugin } from 'esbuild'
import { readMigrations } from '#shared/db/migrations.ts'
import { defaultWorkflow } from '#shared/workflow/default-workflow.ts'
import { budgetOf, crashPoints, kilobytes, packageFolders, problemsOf } from './bundle-limits.ts'
import { asOneFile, bundleCommandLine, COMMAND_LINE_BUDGET, REQUIRE } from './bundle-command-line.ts'
import { fillCache, LOADER } from './compile-cache.ts'
import { units, type Unit } from './units.ts'

// npm run build: one bundle per unit, `dist/<unit>/main.js`. Each has a budget, because a cold start pays for every byte
// (kysely and pg: 140 ms from node_modules, 26 ms bundled).
//
// main.js turns the compile cache on and loads program.js, which is the function; the cache lies beside them.

const root = resolve(import.meta.dirname, '..')

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
  /** Folders of the packages in it, from the repository's root. */
  readonly packages?: readonly string[]
  readonly problems: readonly string[]
}

/** Bundles one unit into `folder/<name>` and holds it against its limits. */
export async function bundle({ name, entry }: Unit, folder: string): Promise<Bundle> {
  if (!existsSync(entry)) return { name, bytes: 0, problems: [`has no ${basename(entry)}`] }
  const target = join(folder, name)
  rmSync(target, { recursive: true, force: true })
  const { metafile, found } = await bundleFile(entry, join(target, 'program.js'))
  writeFileSync(join(target, 'package.json'), '{ "type": "module" }\n')
  writeFileSync(join(target, 'main.js'), LOADER)
  const text = readFileSync(join(target, 'program.js'), 'utf8')
  const apart: Apart[] = []
  const packages = new Set(packageFolders(metafile))
  const problems = problemsOf(name, text, metafile)
  for (const [file, source] of found) {
    const made = await bundleFile(source, join(target, file))
    const bytes = readFileSync(join(target, file)).length
    apart.push({ file, bytes })
    for (const each of packageFolders(made.metafile)) packages.add(each)
    for (const lost of made.found.keys()) problems.push(`${file} loads ${lost}, which nobody bundles`)
    for (const point of crashPoints())
      if (readFileSync(join(target, file), 'utf8').includes(point)) problems.push(`holds the crash point ${point}`)
  }
  fillCache(target, [...found.keys()])
  return { name, bytes: Buffer.byteLength(text), apart, packages: [...packages].toSorted(), problems }
}

/** One file, and the modules of ours that it loads only when they are asked for. */
async function bundleFile(entry: string, outfile: string) {
  const found = new Map<string, string>()
  const { metafile } = await build({
    ...asOneFile,
    entryPoints: [entry],
    outfile,
    sourcemap: true,
    sourcesContent: false,
    target: 'node24',
    banner: { js: REQUIRE },
    external: ['pg-native'],
    plugins: [withoutCrashPoints, withWorkflow, withMigrations, loadedLater(found), withoutHttp2, builtinsAsTheyAre],
  })
  // In an order of its own: esbuild finds them in any.
  return { metafile, found: new Map([...found].toSorted(([a], [b]) => (a < b ? -1 : 1))) }
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

/**
 * We serve HTTP/1.1 and nothing else, whoever is in front of us. The adapter asks of each request whether it is one of
 * HTTP/2, and loading that to hear no was an eighth of what a function uses until its first event.
 */
const withoutHttp2: Plugin = {
  name: 'without-http2',
  setup(plugin) {
    plugin.onResolve({ filter: /^node:http2$/ }, ({ path, importer }) =>
      importer.includes('@hono/node-server') ? { path, namespace: 'http1' } : undefined,
    )
    plugin.onLoad({ filter: /./, namespace: 'http1' }, () => ({
      contents: 'export class Http2ServerRequest {} export const constants = {}',
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

/** Migrations are a part of the program that runs them. */
const withMigrations: Plugin = {
  name: 'with-migrations',
  setup(plugin) {
    plugin.onLoad({ filter: /\/shared\/db\/migrations\.ts$/ }, async () => {
      const migrations = JSON.stringify(await readMigrations())
      return { contents: `export const readMigrations = async () => (${migrations})`, loader: 'js' }
    })
  },
}

if (import.meta.main) {
  const dist = join(root, 'dist')
  mkdirSync(dist, { recursive: true })
  const bundles = await Promise.all(units().map((unit) => bundle(unit, dist)))
  for (const { name, bytes, apart = [], problems } of bundles) {
    const later = apart.map((one) => `, ${one.file} ${kilobytes(one.bytes)} when it is asked for`).join('')
    const size = `${kilobytes(bytes).padStart(7)} of ${kilobytes(budgetOf(name)).padStart(7)}`
    console.log(`${name.padEnd(20)} ${size}  ${problems.length === 0 ? 'ok' : problems.join('; ')}${later}`)
  }
  const commandLine = await bundleCommandLine(join(dist, 'kn-codex'))
  const isLarge = commandLine.bytes > COMMAND_LINE_BUDGET
  const size = `${kilobytes(commandLine.bytes).padStart(7)} of ${kilobytes(COMMAND_LINE_BUDGET).padStart(7)}`
  console.log(`${'kn-codex'.padEnd(20)} ${size}  ${isLarge ? 'is over its budget' : 'ok'}`)
  if (isLarge) process.exitCode = 1
  // Two folders below the manifests, as its sources are: `npx codex-k8s` once the package is published.
  const installer = join(dist, 'bootstrap', 'codex-k8s')
  const { bytes } = await bundleCommandLine(installer, join(root, 'deploy', 'bootstrap', 'main.ts'))
  console.log(`${'codex-k8s'.padEnd(20)} ${kilobytes(bytes).padStart(7)}`)
  const failed = bundles.filter(({ problems }) => problems.length > 0)
  if (bundles.length === 0 || failed.length > 0) {
    console.error(bundles.length === 0 ? 'nothing to bundle' : `failed: ${failed.map(({ name }) => name).join(', ')}`)
    process.exitCode = 1
  }
}
