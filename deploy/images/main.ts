import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { writeArchive } from './archive.ts'
import { buildImages, defaultBase, imageNames, sizeOf, type Image } from './build.ts'
import { findTool, tools, type ToolName } from './tool.ts'

const usage = `usage: npm run images -- [--registry HOST/PREFIX] [--push] [--only NAME ...] [--base IMAGE] [--tool TOOL] [--archive FILE]

Builds the images of all functions, of the migrations and of the agent, and writes dist/images.json: what kustomize's
\`images\` takes. The same sources on the same base give the same tags and digests.

  --registry HOST/PREFIX  what the names begin with; default: localhost/codex-k8s
  --push                  to the registry; log in with the tool before
  --only NAME ...         only these: ${imageNames().join(', ')}
  --base IMAGE            an image with Node and git; default: ${defaultBase()}
  --tool TOOL             ${tools.join(', ')}; default: the first that works
  --archive FILE          all of them in one file, for a cluster without a registry: kind load image-archive FILE
`

const root = resolve(import.meta.dirname, '..', '..')
const dist = join(root, 'dist')
const record = join(dist, 'images.json')

function options() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      registry: { type: 'string', default: 'localhost/codex-k8s' },
      push: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true, default: [] },
      base: { type: 'string', default: defaultBase() },
      tool: { type: 'string' },
      archive: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const only = [...values.only, ...positionals]
  const unknown = only.filter((name) => !imageNames().includes(name))
  if (positionals.length > 0 && values.only.length === 0) throw new Error(`${positionals[0]}: did you mean --only?`)
  if (unknown.length > 0)
    throw new Error(`no image is called ${unknown.join(', ')}: there are ${imageNames().join(', ')}`)
  if (values.tool !== undefined && !tools.includes(values.tool as ToolName))
    throw new Error(`--tool is one of ${tools.join(', ')}`)
  if (values.push && values.registry.startsWith('localhost/')) throw new Error('--push needs --registry HOST/PREFIX')
  return { ...values, only, tool: values.tool as ToolName | undefined, registry: values.registry.replace(/\/+$/, '') }
}

let layout: string | undefined
try {
  const { registry, push, only, base, tool: wanted, archive, help } = options()
  if (help) {
    console.log(usage)
  } else {
    const tool = await findTool(wanted)
    console.log(`building with ${tool.name}, on ${base}`)
    mkdirSync(dist, { recursive: true })
    // On the side, so that what was built last stays until this is whole.
    layout = mkdtempSync(join(dist, '.oci-'))
    const say = (line: string) => console.log(line)
    const images = await buildImages({ tool, registry, base, only, dist, push, layout, uncompressed: false, say })
    const before = existsSync(record) ? (JSON.parse(readFileSync(record, 'utf8')) as Image[]) : []
    const kept = before.filter(({ name }) => only.length > 0 && !images.some((image) => image.name === name))
    writeFileSync(record, `${JSON.stringify([...kept, ...images], undefined, 2)}\n`)
    if (archive !== undefined) await writeArchive(tool.name, layout, images, archive)
    console.log(`\n${table(layout, images)}\n\nwritten to dist/images.json`)
    rmSync(join(dist, 'oci'), { recursive: true, force: true })
    renameSync(layout, join(dist, 'oci'))
  }
} catch (error) {
  console.error((error as Error).message)
  process.exitCode = 1
} finally {
  if (layout !== undefined) rmSync(layout, { recursive: true, force: true })
}

function table(layout: string, images: readonly Image[]): string {
  const rows = images.map((image) => {
    const bytes = sizeOf(layout, image)
    const size = bytes === undefined ? '-' : `${(bytes / 1e6).toFixed(1)} MB`
    return [image.name, image.newTag, image.digest, size]
  })
  const all = [['IMAGE', 'TAG', 'DIGEST', 'SIZE'], ...rows]
  const widths = [0, 1, 2].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  return all
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
