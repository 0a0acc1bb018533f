import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import type { Image } from '../../deploy/images/build.ts'
import { findBuilder } from './images.ts'

const root = resolve(import.meta.dirname, '..', '..')
const builder = await findBuilder()
const folder = mkdtempSync(join(tmpdir(), 'codex-k8s-same-'))
const registry = `localhost/codex-k8s-same-${process.pid}`

afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A copy of the tree somewhere else, with packages of its own. */
function copyTree(name: string): string {
  const copy = join(folder, name)
  const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '-z'], { cwd: root, encoding: 'utf8' })
  for (const file of files.split('\0').filter(Boolean)) cpSync(join(root, file), join(copy, file))
  execFileSync('cp', ['-al', join(root, 'node_modules'), copy])
  return copy
}

/** Builds two images there, and forgets them, so that the next build is one. */
function build(copy: string, { tool, base }: { tool: { name: string }; base: string }): readonly Image[] {
  const flags = ['--tool', tool.name, '--base', base, '--registry', registry, '--only', 'label-router', 'migrate']
  const main = join(copy, 'deploy', 'images', 'main.ts')
  const printed = execFileSync(process.execPath, [main, ...flags], { cwd: copy, encoding: 'utf8' })
  for (const name of ['node', 'label-router', 'migrate']) expect(printed).toContain(`${name}: built`)
  const images = JSON.parse(readFileSync(join(copy, 'dist', 'images.json'), 'utf8')) as Image[]
  const listed = execFileSync(tool.name, ['images', '--format', '{{.Name}}:{{.Tag}}'], { encoding: 'utf8' })
  const ours = listed.split('\n').filter((line) => line.startsWith(`${registry}/`))
  if (ours.length > 0) execFileSync(tool.name, ['rmi', ...ours], { stdio: 'pipe' })
  return images
}

test.skipIf(builder?.tool.name !== 'buildah')('two copies of the tree give the same images, byte by byte', () => {
  if (builder === undefined) return
  const [one, other] = ['one', 'another-of-a-longer-name'].map((name) => build(copyTree(name), builder))
  expect(one?.map(({ digest }) => digest)).toEqual([
    expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
    expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
  ])
  expect(one).toEqual(other)
})
