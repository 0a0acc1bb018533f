import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { bundle } from '../../deploy/bundle.ts'
import { writeArchive } from '../../deploy/images/archive.ts'
import { buildImages, defaultBase } from '../../deploy/images/build.ts'
import { ToolFailed } from '../../deploy/images/run.ts'
import { findTool, type Tool } from '../../deploy/images/tool.ts'
import { units } from '../../deploy/units.ts'
import { isOnNodes } from './node-images.ts'

/** Where a function's image is. */
export interface Image {
  readonly name: string
  readonly newName: string
  readonly newTag: string
}

const prefix = process.env['IMAGE_PREFIX'] ?? 'dev.local'

/** On the machine that has the test cluster beside the checkout; elsewhere IMAGE_LOADER says what to call. */
const besides = join(import.meta.dirname, '..', '..', '..', 'shared', 'cluster', 'cluster')

/**
 * Brings the images of everything to the cluster, as `npm run images` builds them; where nothing builds images or the
 * cluster takes no archive, bundles on top of Node by IMAGE_LOADER, without the agent's.
 */
export async function loadImages(folder: string): Promise<Image[]> {
  const builder = await findBuilder()
  if (builder === undefined) return loadBundles(folder)
  const { tool, base, loader } = builder
  const layout = join(folder, 'oci')
  const there = new Set<string>()
  const images = await buildImages({
    tool: sparing(tool, there),
    base,
    registry: prefix,
    only: [],
    dist: join(folder, 'dist'),
    layout,
    push: false,
    uncompressed: true,
    say: (line) => void process.stderr.write(`${line}\n`),
  })
  const missing = images.filter(({ newName, newTag }) => !there.has(`${newName}:${newTag}`))
  if (missing.length > 0) {
    const archive = join(folder, 'images.tar')
    await writeArchive(tool.name, layout, missing, archive)
    await call(loader, [archive])
    rmSync(archive)
  }
  rmSync(layout, { recursive: true })
  // Not by digest: a node that got them from a file knows them by name.
  return images.map(({ name, newName, newTag }) => ({ name, newName, newTag }))
}

/** Neither builds nor delivers what the cluster's nodes have; the names of that go into `there`. */
function sparing(tool: Tool, there: Set<string>): Tool {
  return {
    ...tool,
    async idOf(reference) {
      if (!reference.startsWith(`${prefix}/`) || !(await isOnNodes(reference))) return tool.idOf(reference)
      there.add(reference)
      return reference
    },
    deliver: async (reference, target) => (there.has(reference) ? '' : tool.deliver(reference, target)),
  }
}

/** What builds images here, on what, and who brings an archive of them to the cluster's nodes. */
export interface Builder {
  readonly tool: Tool
  readonly base: string
  readonly loader: readonly string[]
}

/** Finds it: ARCHIVE_LOADER with whatever tool is there, or the test cluster with its own base image and buildah. */
export async function findBuilder(): Promise<Builder | undefined> {
  const own = process.env['ARCHIVE_LOADER']?.split(' ').filter(Boolean)
  const base = process.env['IMAGE_BASE']
  try {
    if (own !== undefined) return { tool: await findTool(), base: base ?? defaultBase(), loader: own }
    if (process.env['IMAGE_LOADER'] !== undefined || !existsSync(besides)) return undefined
    process.env['STORAGE_DRIVER'] ??= 'vfs'
    process.env['BUILDAH_ISOLATION'] ??= 'chroot'
    const tool = await findTool('buildah')
    const itsBase = base ?? 'localhost/node:24'
    return (await tool.idOf(itsBase)) === undefined ? undefined : { tool, base: itsBase, loader: [besides, 'load'] }
  } catch (error) {
    if (error instanceof ToolFailed) return undefined
    throw error
  }
}

/**
 * Bundles every function and makes its image. All have the same contents and differ in what they start, so the cluster
 * keeps one layer; the tag is of the contents, because a revision is made anew only for another image.
 */
async function loadBundles(folder: string): Promise<Image[]> {
  const functions = units().filter(({ name }) => name !== 'agent' && name !== 'install')
  await Promise.all(functions.map((unit) => bundle(unit, folder)))
  const tag = digestOf(folder)
  const images = functions.map(({ name }) => ({ name: `codex-k8s/${name}`, newName: `${prefix}/${name}`, newTag: tag }))
  for (const { newName, newTag } of images) {
    const entry = ['node', '--enable-source-maps', `/app/${newName.slice(prefix.length + 1)}/main.js`]
    await load([`${newName}:${newTag}`, folder, JSON.stringify(entry)])
  }
  return images
}

/** What brings an image to the cluster: the command that the variable names, else that of the test cluster beside us. */
export function loader(variable: string, beside: string): readonly string[] {
  const own = process.env[variable]?.split(' ').filter(Boolean)
  const command = own ?? (existsSync(besides) ? [besides, beside] : [])
  if (command.length === 0) throw new Error(`${variable} is not set: nothing can bring images to the cluster`)
  return command
}

/** Makes one image: `NAME:TAG`, the folder that lies at /app, and its entry point as JSON. */
export async function load(
  args: readonly string[],
  command: readonly string[] = loader('IMAGE_LOADER', 'node-image'),
): Promise<void> {
  if (!(await isOnNodes(args[0] ?? ''))) await call(command, args)
}

async function call([command = '', ...before]: readonly string[], args: readonly string[]): Promise<void> {
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
  for (const path of paths.toSorted()) {
    hash.update(path.slice(folder.length)).update(readFileSync(path))
  }
  return hash.digest('hex').slice(0, 12)
}
