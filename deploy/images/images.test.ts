import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { bundle, type Bundle } from '../bundle.ts'
import { units } from '../units.ts'
import { imageNames } from './build.ts'
import { writeLicenses } from './licenses.ts'
import { stageFunction } from './stage.ts'

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'codex-k8s-images-test-'))
  onTestFinished(() => rmSync(made, { recursive: true, force: true }))
  return made
}

/** `npm run images` where PATH has just these commands, each a script. */
function images(args: readonly string[], commands: Readonly<Record<string, string>> = {}) {
  const path = folder()
  for (const [name, script] of Object.entries(commands))
    writeFileSync(join(path, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  const main = join(import.meta.dirname, 'main.ts')
  return spawnSync(process.execPath, [main, ...args], { env: { PATH: path }, encoding: 'utf8' })
}

test('where nothing builds images it is said what to install', () => {
  expect(images([])).toMatchObject({
    status: 1,
    stderr:
      'no tool here builds images: install docker, podman or buildah\ndocker is not on PATH\npodman is not on PATH\nbuildah is not on PATH\n',
  })
})

test('a docker without its daemon is passed over, and what it said is shown when nothing else is there', () => {
  const docker = 'echo "Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?" >&2; exit 1'
  const { stderr } = images([], { docker })
  expect(stderr).toContain('Cannot connect to the Docker daemon')
  expect(stderr).toContain('What to do: start the daemon, or name another tool with --tool')
})

test.for<[said: string, advice: string]>([
  ['Error: initializing source docker://node: manifest unknown', '--base'],
  ['Error: creating container: kernel does not support overlay fs', 'STORAGE_DRIVER=vfs'],
  ['Error during unshare(...): Operation not permitted', 'BUILDAH_ISOLATION=chroot'],
  ['write /var/x: no space left on device', 'the disk is full'],
])('what a tool says is shown with what to do: %s', ([said, advice]) => {
  const buildah = `[ "$1" = --version ] && exit 0; echo '${said}' >&2; exit 125`
  const { status, stderr } = images(['--tool', 'buildah', '--only', 'migrate'], { buildah })
  expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringContaining(said) })
  expect(stderr).toMatch(new RegExp(`What to do: .*${advice}`))
})

test.for<[args: string[], says: RegExp]>([
  [['--only', 'nobody'], /^no image is called nobody: there are .*label-router.*, migrate/],
  [['label-router'], /^label-router: did you mean --only\?/],
  [['--push'], /^--push needs --registry HOST\/PREFIX/],
  [['--tool', 'make'], /^--tool is one of docker, podman, buildah/],
])('%s is refused with what would do', ([args, says]) => {
  expect(images(args)).toMatchObject({ status: 1, stderr: expect.stringMatching(says) })
})

test('every unit has an image, and what is in it is listed with its licence', async () => {
  expect(imageNames()).toEqual(expect.arrayContaining(['label-router', 'migrate', 'agent']))
  const { packages = [] } = await bundle(units().find(({ name }) => name === 'label-router') ?? units()[0]!, folder())
  const target = folder()
  writeLicenses(target, 'label-router', packages)
  const bom = JSON.parse(readFileSync(join(target, 'sbom.cdx.json'), 'utf8')) as { components: { purl: string }[] }
  expect(bom.components.map(({ purl }) => purl)).toEqual(
    expect.arrayContaining([expect.stringMatching(/^pkg:npm\/%40octokit\/core@\d/), expect.stringMatching(/pg@\d/)]),
  )
  expect(readFileSync(join(target, 'third-party.txt'), 'utf8')).toMatch(/^pg \d\S+ \(MIT\)$/m)
})

test('a context has one digest, whatever the umask and the clock; another byte is another one', async () => {
  const dist = folder()
  const made = (await bundle(units().find(({ name }) => name === 'migrate') ?? units()[0]!, dist)) satisfies Bundle
  const before = process.umask(0o077)
  onTestFinished(() => void process.umask(before))
  const one = stageFunction(dist, made, folder())
  process.umask(0)
  expect(stageFunction(dist, made, folder()).digest).toBe(one.digest)
  writeFileSync(join(dist, 'migrate', 'main.js'), '// another')
  expect(stageFunction(dist, made, folder()).digest).not.toBe(one.digest)
})
