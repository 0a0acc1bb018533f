import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type BuildOptions } from 'esbuild'
import type { TestProject } from 'vitest/node'

declare module 'vitest' {
  interface ProvidedContext {
    /** One file with all functions, crash points included: it starts in a quarter of the time that the sources take. */
    functions: string
  }
}

const root = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))

/** How it is bundled. */
export const FUNCTIONS_BUNDLE = {
  entryPoints: [root('deploy/local/functions-main.ts')],
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  external: ['pg-native'],
  logLevel: 'error',
  banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
} satisfies BuildOptions

/** Bundles the process that runs all functions, once for the whole run. */
export async function setup(project: TestProject): Promise<() => void> {
  const folder = mkdtempSync(join(tmpdir(), 'codex-k8s-functions-'))
  const outfile = join(folder, 'functions.mjs')
  await build({ ...FUNCTIONS_BUNDLE, outfile })
  cpSync(root('shared/workflow/default.yaml'), join(folder, 'default.yaml'))
  project.provide('functions', outfile)
  return () => rmSync(folder, { recursive: true, force: true })
}
