import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '..', '..')

/** A package in an image. */
interface Part {
  readonly name: string
  readonly version: string
  readonly license: string
  /** The texts it comes with. */
  readonly texts: readonly string[]
}

/**
 * Writes what an image holds and under which terms: our licence, the packages' in one file, and a bill of materials
 * (CycloneDX 1.6, JSON). `packages` are folders of packages; the same ones give the same bytes.
 */
export function writeLicenses(folder: string, name: string, packages: readonly string[]): void {
  mkdirSync(folder, { recursive: true })
  const ours = readPart(root)
  const parts = packages.map(readPart).toSorted((a, b) => (purl(a) < purl(b) ? -1 : 1))
  writeFileSync(join(folder, 'LICENSE'), readFileSync(join(root, 'LICENSE')))
  const texts = parts.map((part) => [`${part.name} ${part.version} (${part.license})`, ...part.texts].join('\n\n'))
  writeFileSync(join(folder, 'third-party.txt'), texts.join(`\n\n${'-'.repeat(80)}\n\n`))
  const component = (part: Part) => ({
    type: 'library',
    name: part.name,
    version: part.version,
    purl: purl(part),
    licenses: [{ expression: part.license }],
  })
  const bom = {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: { component: { type: 'application', name: `codex-k8s/${name}`, version: ours.version } },
    components: parts.map(component),
  }
  writeFileSync(join(folder, 'sbom.cdx.json'), `${JSON.stringify(bom, undefined, 2)}\n`)
}

function readPart(folder: string): Part {
  const path = resolve(root, folder)
  const { name, version, license } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8')) as Partial<Part>
  if (name === undefined || version === undefined) throw new Error(`${folder}/package.json has no name or no version`)
  if (license === undefined) throw new Error(`${name} ${version} does not say under which licence it is`)
  const texts = readdirSync(path)
    .filter((file) => /^(licen[cs]e|copying|notice)/i.test(file))
    .toSorted()
    .map((file) => join(path, file))
    .filter((file) => existsSync(file))
    .map((file) => readFileSync(file, 'utf8').trim())
  return { name, version, license, texts }
}

const purl = ({ name, version }: Part) => `pkg:npm/${name.replace('@', '%40')}@${version}`
