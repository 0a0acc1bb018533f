import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { bundle } from '../../deploy/bundle.ts'
import { units } from '../../deploy/units.ts'

/** Where a function's image is. */
export interface Image {
  readonly name: string
  readonly newName: string
  readonly newTag: string
}

/** On the machine that has the test cluster beside the checkout; elsewhere IMAGE_LOADER says what to call. */
const besides = join(import.meta.dirname, '..', '..', '..', 'shared', 'cluster', 'cluster')

/**
 * Bundles every function and makes its image. All have the same contents and differ in what they start, so the cluster
 * keeps one layer; the tag is of the contents, because a revision is made anew only for another image.
 */
export async function loadImages(folder: string): Promise<Image[]> {
  const functions = units().filter(({ name }) => name !== 'agent' && name !== 'install')
  await Promise.all(functions.map((unit) => bundle(unit, folder)))
  const tag = digestOf(folder)
  const prefix = process.env['IMAGE_PREFIX'] ?? 'dev.local'
  const images = functions.map(({ name }) => ({ name: `codex-k8s/${name}`, newName: `${prefix}/${name}`, newTag: tag }))
  for (const { newName, newTag } of images) {
    const entry = ['node', '--enable-source-maps', `/app/${newName.slice(prefix.length + 1)}/main.js`]
    await load([`${newName}:${newTag}`, folder, JSON.stringify(entry)])
  }
  return images
}

async function load(args: readonly string[]): Promise<void> {
  const own = process.env['IMAGE_LOADER']?.split(' ').filter(Boolean)
  const [command, ...before] = own ?? (existsSync(besides) ? [besides, 'node-image'] : [])
  if (command === undefined) throw new Error('IMAGE_LOADER is not set: nothing can bring images to the cluster')
  const child = spawn(command, [...before, ...args], {
    env: { ...process.env, NODE: process.execPath },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const code = new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve))
  const said = await text(child.stderr)
  if ((await code) !== 0) throw new Error(`${command} ${before.join(' ')} ${args[0]}: ${said.trim()}`)
}

function digestOf(folder: string): string {
  const hash = createHash('sha256').update(process.version)
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const paths = files.map(({ parentPath, name }) => join(parentPath, name))
  // The compile cache follows from the rest, and is never twice the same.
  for (const path of paths.filter((each) => !each.includes('/cache/')).toSorted()) {
    hash.update(path.slice(folder.length)).update(readFileSync(path))
  }
  return hash.digest('hex').slice(0, 12)
}
