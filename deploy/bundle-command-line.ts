import { chmodSync, mkdirSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { build } from 'esbuild'

const root = resolve(import.meta.dirname, '..')

/** What every bundle of ours is made with: one file of ES modules for Node, and what went into it. */
export const asOneFile = {
  absWorkingDir: root,
  bundle: true,
  minify: true,
  metafile: true,
  platform: 'node',
  format: 'esm',
  logLevel: 'warning',
} as const

/** Packages that are CommonJS ask for Node's own modules by require. A long name: esbuild does not know it and gives out short ones. */
export const REQUIRE =
  "import{createRequire as bannerCreateRequire}from'node:module';const require=bannerCreateRequire(import.meta.url);"

/** Bytes that the command line may have: the Kubernetes client with its models is nine tenths of it. */
export const COMMAND_LINE_BUDGET = 2_700_000

/**
 * Bundles `kn-codex`, or another command, into one file that needs nothing but Node, so that putting it on PATH is all there is to installing it.
 * ES modules, which Node recognises without a file name that says so.
 */
export async function bundleCommandLine(
  outfile: string,
  entry: string = join(root, 'cli', 'main.ts'),
): Promise<{ readonly bytes: number }> {
  mkdirSync(dirname(outfile), { recursive: true })
  const { metafile } = await build({
    ...asOneFile,
    entryPoints: [entry],
    outfile,
    // The oldest Node that commander runs on; commander and the bundle's form need it.
    target: 'node22.12',
    banner: { js: `#!/usr/bin/env node\n${REQUIRE}` },
  })
  chmodSync(outfile, 0o755)
  return { bytes: Object.values(metafile.outputs)[0]?.bytes ?? 0 }
}
