import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type BuildOptions, type Plugin } from 'esbuild'
import { onTestFinished } from 'vitest'
import { edited, UNLIMITED, type Edit } from './edited-source.ts'
import { FUNCTIONS_BUNDLE } from './functions-bundle.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** All functions in one file, with one source file that says something else. Fails when it does not say what is to be replaced. */
export async function bundleWith(file: string, edits: readonly Edit[]): Promise<string> {
  const folder = temporary(tmpdir())
  const outfile = join(folder, 'functions.mjs')
  await build({ ...FUNCTIONS_BUNDLE, outfile, plugins: [replacing(file, edits)] })
  cpSync(join(root, 'shared/workflow/default.yaml'), join(folder, 'default.yaml'))
  return outfile
}

/** All functions without the limits of GitHub, for tests that ask more in a second than one may in a minute. */
export function unlimited(): Promise<string> {
  return bundleWith(UNLIMITED.file, UNLIMITED.edits)
}

/** One module with what it is made of, changed in the same way, for this process. Packages stay the ones of the test. */
export async function importWith<Module>(entry: string, file: string, edits: readonly Edit[]): Promise<Module> {
  const cache = join(root, 'node_modules/.cache')
  mkdirSync(cache, { recursive: true })
  const outfile = join(temporary(cache), 'module.mjs')
  const options = { bundle: true, platform: 'node', format: 'esm', packages: 'external', logLevel: 'error' } as const
  await build({
    ...options,
    absWorkingDir: root,
    entryPoints: [join(root, entry)],
    outfile,
    plugins: [sharedInside, ...(edits.length === 0 ? [] : [replacing(file, edits)])],
  } satisfies BuildOptions)
  return (await import(/* @vite-ignore */ outfile)) as Module
}

/** `#shared/` looks like a package and is none. */
const sharedInside: Plugin = {
  name: 'shared-inside',
  setup: (plugin) => plugin.onResolve({ filter: /^#shared\// }, ({ path }) => ({ path: join(root, path.slice(1)) })),
}

function replacing(file: string, edits: readonly Edit[]): Plugin {
  const path = join(root, file)
  return {
    name: 'replacing',
    setup(plugin) {
      let met = false
      plugin.onLoad({ filter: /\.ts$/ }, (loaded) => {
        if (loaded.path !== path) return undefined
        met = true
        return { contents: edited(readFileSync(path, 'utf8'), file, edits), loader: 'ts' }
      })
      plugin.onEnd(() => (met ? undefined : { errors: [{ text: `${file} is not part of what is bundled` }] }))
    },
  }
}

function temporary(parent: string): string {
  const folder = mkdtempSync(join(parent, 'mutant-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
