import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bundle } from '../deploy/bundle.ts'
import { units } from '../deploy/units.ts'

let folder: string

/** As it lies in the agent's image: the installer, and what it copies beside it. */
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'codex-k8s-install-'))
  const unit = units().find(({ name }) => name === 'install')
  if (unit === undefined) throw new Error('there is no installer')
  await bundle(unit, folder)
  for (const each of ['runner', 'codex/bin']) mkdirSync(join(folder, 'install', each), { recursive: true })
  writeFileSync(join(folder, 'install', 'runner', 'main.js'), 'console.log(process.version)')
  writeFileSync(join(folder, 'install', 'codex', 'bin', 'codex'), '#!/bin/sh\n', { mode: 0o755 })
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

const start = (...args: string[]) =>
  spawnSync(process.execPath, [join(folder, 'install', 'program.js'), ...args], { encoding: 'utf8', env: {} })

test('what is installed starts with its own Node and its own libraries, in whatever image; a second time is no harm', () => {
  const target = join(folder, 'target')
  for (const time of ['first', 'second'])
    expect({ time, ...start(target) }).toMatchObject({ status: 0, stdout: '', stderr: '' })
  const node = join(target, 'bin', 'node')
  const main = join(target, 'runner', 'main.js')
  const lib = join(target, 'lib')
  for (const [command, ...args] of [[node], [join(lib, 'loader'), '--library-path', lib, node]] as const)
    expect(spawnSync(command, [...args, main], { encoding: 'utf8', env: {} }).stdout).toBe(`${process.version}\n`)
  expect(statSync(join(target, 'codex', 'bin', 'codex')).mode & 0o777).toBe(0o755)
})

test('the token goes where it is wanted, for its owner only', () => {
  const [from, to] = [join(folder, 'secret'), join(folder, 'token')]
  writeFileSync(from, 'run\nmodel\n', { mode: 0o444 })
  expect(start(join(folder, 'with-token'), from, to)).toMatchObject({ status: 0, stdout: '', stderr: '' })
  expect(readFileSync(to, 'utf8')).toBe('run\nmodel\n')
  expect(statSync(to).mode & 0o777).toBe(0o600)
})

test("where the image is the run's own only the loader is copied, and starts the image's Node", () => {
  const target = join(folder, 'own')
  for (const time of ['first', 'second'])
    expect({ time, ...start('--only-loader', target) }).toMatchObject({ status: 0, stdout: '', stderr: '' })
  const files = readdirSync(target, { recursive: true }).map(String)
  expect(files.toSorted()).toEqual(['bin', 'bin/node', 'lib', 'lib/loader'])
  const command = [join(target, 'bin', 'node'), join(folder, 'install', 'runner', 'main.js')]
  const { stdout } = spawnSync(join(target, 'lib', 'loader'), command, { encoding: 'utf8', env: {} })
  expect(stdout).toBe(`${process.version}\n`)
})

test.for([['copied'], ['only-loader', '--only-loader']])(
  'J1 nobody else of the same user looks into what the loader starts: %s',
  async ([name = '', ...options]) => {
    const target = join(folder, name)
    expect(start(...options, target)).toMatchObject({ status: 0 })
    chmodSync(folder, 0o755)
    // Root may look into everything.
    const user = process.getuid?.() === 0 ? { uid: 65_532, gid: 65_532 } : {}
    const [node, loader] = [join(target, 'bin', 'node'), join(target, 'lib', 'loader')]
    const library = options.length === 0 ? ['--library-path', join(target, 'lib')] : []
    const look = async (command: string, ...args: string[]) => {
      const script = 'console.log("up"); process.stdin.resume()'
      const started = spawn(command, [...args, '-e', script], { ...user, env: {}, stdio: ['pipe', 'pipe', 'inherit'] })
      await once(started.stdout, 'data')
      const opened = ['environ', 'maps', 'mem'].filter(
        (file) => spawnSync('dd', [`if=/proc/${started.pid}/${file}`, 'count=0'], user).status === 0,
      )
      started.stdin.end()
      await once(started, 'exit')
      return opened
    }
    expect(await look(loader, ...library, node)).toEqual([])
    // Started by itself it is open. For `mem` a kernel may have a rule of its own.
    expect(await look(node)).toEqual(expect.arrayContaining(['environ', 'maps']))
  },
)

test('arguments that are missing are named', () => {
  expect(start()).toMatchObject({ status: 78, stderr: expect.stringMatching(/^TARGET: is not set\nusage: /) })
  expect(start('/x', '/y')).toMatchObject({ status: 78, stderr: expect.stringMatching(/^TOKEN_TARGET: is not set\n/) })
})
