import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
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

test('arguments that are missing are named', () => {
  expect(start()).toMatchObject({ status: 78, stderr: expect.stringMatching(/^TARGET: is not set\nusage: /) })
  expect(start('/x', '/y')).toMatchObject({ status: 78, stderr: expect.stringMatching(/^TOKEN_TARGET: is not set\n/) })
})
