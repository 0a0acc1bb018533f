import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run, ToolFailed } from './run.ts'
import type { Context } from './stage.ts'

/** What builds images. */
export const tools = ['docker', 'podman', 'buildah'] as const
export type ToolName = (typeof tools)[number]

/** One image to be built. */
export interface Order {
  readonly context: Context
  /** NAME:TAG. */
  readonly reference: string
  readonly args: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string>>
}

/** Where an image went and what it is called there. */
export interface Target {
  /** Whether it goes to the registry in its name. */
  readonly push: boolean
  /** A folder of OCI layout that gets it as well, or instead. */
  readonly layout: string
  /** Layers as they are: quicker to make and larger. Docker and podman take no notice. */
  readonly uncompressed: boolean
}

/** A tool that was found to work. */
export interface Tool {
  readonly name: ToolName
  /** The id of an image that the tool has; undefined when it has none of that name. */
  idOf(reference: string): Promise<string | undefined>
  pull(reference: string): Promise<void>
  build(order: Order): Promise<void>
  /** Brings a built image to where it is wanted; returns its manifest's digest, `sha256:...`. */
  deliver(reference: string, target: Target): Promise<string>
}

/** The wanted tool, or the first that works. Throws with what each of them said. */
export async function findTool(wanted?: ToolName): Promise<Tool> {
  const said: string[] = []
  for (const name of wanted === undefined ? tools : [wanted]) {
    try {
      // Docker is no more than a client: it works if its daemon answers, and builds with buildx only.
      if (name === 'docker') await run(name, ['version'])
      await run(name, name === 'docker' ? ['buildx', 'version'] : ['--version'])
      return name === 'docker' ? docker() : buildahLike(name)
    } catch (error) {
      if (!(error instanceof ToolFailed)) throw error
      said.push(/ENOENT/.test(error.message) ? `${name} is not on PATH` : error.message)
    }
  }
  throw new ToolFailed(`no tool here builds images: install docker, podman or buildah\n${said.join('\n')}`)
}

/** buildah, and podman, which is made of it. */
function buildahLike(name: 'podman' | 'buildah'): Tool {
  const inspect =
    name === 'podman'
      ? ['image', 'inspect', '--format', '{{.Id}}']
      : ['inspect', '--type', 'image', '--format', '{{.FromImageID}}']
  return {
    name,
    idOf: (reference) => run(name, [...inspect, reference]).catch(noneOf),
    async pull(reference) {
      await run(name, ['pull', '--quiet', reference])
    },
    async build({ context, reference, args, labels }) {
      await run(name, [
        'build',
        '--quiet',
        // One layer for each image. Keeping every step would copy all of Node for each of them where there is no overlay.
        '--layers=false',
        '--format=oci',
        // Of every file in the layers and of the image: the first second there is. The tool's own version is no part of it.
        '--timestamp=0',
        '--identity-label=false',
        ...flags('--build-arg', args),
        ...flags('--label', labels),
        `--file=${context.dockerfile}`,
        `--tag=${reference}`,
        context.folder,
      ])
    },
    async deliver(reference, { push, layout, uncompressed }) {
      const plain = uncompressed && name === 'buildah' ? ['--disable-compression'] : []
      const digest = await withFile((file) =>
        run(name, ['push', '--quiet', ...plain, `--digestfile=${file}`, reference, `oci:${layout}:${reference}`]),
      )
      if (!push) return digest
      return withFile((file) =>
        run(name, ['push', '--quiet', `--digestfile=${file}`, reference, `docker://${reference}`]),
      )
    },
  }
}

function docker(): Tool {
  return {
    name: 'docker',
    idOf: (reference) => run('docker', ['image', 'inspect', '--format', '{{.Id}}', reference]).catch(noneOf),
    async pull(reference) {
      await run('docker', ['pull', '--quiet', reference])
    },
    async build({ context, reference, args, labels }) {
      await run('docker', [
        'buildx',
        'build',
        // The one that sees the daemon's images, ours among them.
        '--builder=default',
        '--provenance=false',
        ...flags('--build-arg', { ...args, SOURCE_DATE_EPOCH: '0' }),
        ...flags('--label', labels),
        `--output=type=docker,name=${reference},rewrite-timestamp=true`,
        `--file=${context.dockerfile}`,
        context.folder,
      ])
    },
    async deliver(reference, { push }) {
      if (!push) return run('docker', ['image', 'inspect', '--format', '{{.Id}}', reference])
      await run('docker', ['push', '--quiet', reference])
      const at = await run('docker', ['image', 'inspect', '--format', '{{index .RepoDigests 0}}', reference])
      return at.slice(at.indexOf('@') + 1)
    },
  }
}

const flags = (flag: string, values: Readonly<Record<string, string>>) =>
  Object.entries(values).map(([key, value]) => `${flag}=${key}=${value}`)

function noneOf(error: unknown): undefined {
  if (error instanceof ToolFailed && /no such|not known|unknown|not found|unable to find/i.test(error.message)) return
  throw error
}

/** What a command wrote into the file that it was given. */
async function withFile(work: (file: string) => Promise<unknown>): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'codex-k8s-digest-'))
  try {
    await work(join(folder, 'digest'))
    return readFileSync(join(folder, 'digest'), 'utf8').trim()
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
