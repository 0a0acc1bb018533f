import { createHash } from 'node:crypto'
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { build } from 'esbuild'
import { load, loader } from './images.ts'

const root = join(import.meta.dirname, '..', '..')

/**
 * Makes the image of an agent that thinks nothing (`test/support/stub-agent.ts`) and takes a second: installed and
 * started like the real one, so that a test can kill whatever it likes a dozen times. Returns its name.
 */
export async function loadStubAgent(folder: string): Promise<string> {
  const image = join(folder, 'opt', 'codex-k8s')
  const bundle = { bundle: true, platform: 'node', format: 'esm', target: 'node24', logLevel: 'warning' } as const
  const main = join(image, 'runner', 'main.js')
  // What it is to do stands in the issue.
  const banner = { js: `process.env.CHANGE = '{"obeys":true,"patient":true}'` }
  await build({ ...bundle, banner, entryPoints: [join(root, 'test/support/stub-agent.ts')], outfile: main })
  await build({ ...bundle, entryPoints: [join(root, 'agent/install.ts')], outfile: join(image, 'install.js') })
  writeFileSync(join(image, 'package.json'), '{ "type": "module" }\n')
  writeFileSync(join(image, 'runner', 'package.json'), '{ "type": "module" }\n')
  mkdirSync(join(image, 'codex'), { recursive: true })
  const contents = [main, join(image, 'install.js')].map((file) => readFileSync(file))
  const digest = createHash('sha256').update(process.version).update(Buffer.concat(contents)).digest('hex').slice(0, 12)
  for (const file of nodeFiles()) {
    mkdirSync(join(folder, dirname(file)), { recursive: true })
    copyFileSync(file, join(folder, file))
  }
  mkdirSync(join(folder, 'usr/local/bin'), { recursive: true })
  copyFileSync(process.execPath, join(folder, 'usr/local/bin/node'))
  for (const empty of ['tmp', 'work', 'proc', 'dev', 'sys', 'etc']) mkdirSync(join(folder, empty), { recursive: true })
  const name = `${process.env['IMAGE_PREFIX'] ?? 'dev.local'}/stub-agent:${digest}`
  await load([name, folder, '["node"]'], loader('AGENT_IMAGE_LOADER', 'image'))
  return name
}

/** The files that this Node is linked against. */
function nodeFiles(): string[] {
  const { sharedObjects } = process.report.getReport() as unknown as { sharedObjects: readonly string[] }
  return sharedObjects.filter((path) => path.startsWith('/') && path !== process.execPath)
}
