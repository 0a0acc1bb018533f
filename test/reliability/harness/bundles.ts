import { cpSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type Plugin } from 'esbuild'
import { FUNCTIONS, type FunctionName } from '../../../deploy/local/functions.ts'
import { edited, type EditedFile } from '../../support/edited-source.ts'
import { FUNCTIONS_BUNDLE } from '../../support/functions-bundle.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))

/**
 * Bundles each function's own `main.ts` into the folder: it starts in a quarter of the time that the sources take. Files
 * may say something else than they do; one that no function holds is an error.
 */
export async function bundleFunctions(
  folder: string,
  files: readonly EditedFile[],
): Promise<Readonly<Record<FunctionName, string>>> {
  const met = new Set<string>()
  const bundles = await Promise.all(
    FUNCTIONS.map(async (name) => {
      const outfile = join(folder, `${name}.mjs`)
      const entryPoints = [join(root, 'functions', name, 'main.ts')]
      await build({ ...FUNCTIONS_BUNDLE, entryPoints, outfile, plugins: [saying(files, met)] })
      return [name, outfile] as const
    }),
  )
  for (const { file } of files) if (!met.has(file)) throw new Error(`${file} is not part of any function`)
  cpSync(join(root, 'shared/workflow/default.yaml'), join(folder, 'default.yaml'))
  return Object.fromEntries(bundles) as Record<FunctionName, string>
}

function saying(files: readonly EditedFile[], met: Set<string>): Plugin {
  const edits = new Map(files.map((each) => [join(root, each.file), each]))
  return {
    name: 'saying',
    setup(plugin) {
      plugin.onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const change = edits.get(path)
        if (change === undefined) return undefined
        met.add(change.file)
        return { contents: edited(readFileSync(path, 'utf8'), change.file, change.edits), loader: 'ts' }
      })
    },
  }
}
