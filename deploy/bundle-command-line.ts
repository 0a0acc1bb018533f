import { chmodSync, mkdirSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { build } from 'esbuild'

const root = resolve(import.meta.dirname, '..')

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
    absWorkingDir: root,
    entryPoints: [entry],
    outfile,
    bundle: true,
    minify: true,
    metafile: true,
    platform: 'node',
    // The oldest Node that commander runs on; commander and the bundle's form need it.
    target: 'node22.12',
    format: 'esm',
    banner: {
      js: "#!/usr/bin/env node\nimport{createRequire as bannerCreateRequire}from'node:module';const require=bannerCreateRequire(import.meta.url);",
    },
    logLevel: 'warning',
  })
  chmodSync(outfile, 0o755)
  return { bytes: Object.values(metafile.outputs)[0]?.bytes ?? 0 }
}
