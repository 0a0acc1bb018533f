import { appendFileSync, chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../../agent/testing/repository.ts'
import { ensureCodex, probeSandbox } from './codex.ts'
import type { Codex } from './codex.ts'

const target = process.arch === 'arm64' ? 'aarch64-unknown-linux-musl' : 'x86_64-unknown-linux-musl'

function script(file: string, text: string): string {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `#!/bin/sh\n${text}\n`)
  chmodSync(file, 0o755)
  return file
}

/** A folder with a lockfile that names a CLI of our own on this disk, so that npm has nothing to download. */
function localFolder(): string {
  const folder = temporaryFolder()
  const name = `@openai/codex-linux-${process.arch}`
  const root = { name: 'x', version: '1.0.0', dependencies: { [name]: 'file:stub' } }
  const stub = { name, version: '0.1.0' }
  script(join(folder, 'stub/vendor', target, 'bin/codex'), 'echo codex-cli 0.1.0')
  writeFileSync(join(folder, 'stub/package.json'), JSON.stringify(stub))
  writeFileSync(join(folder, 'package.json'), JSON.stringify(root))
  const packages = { '': root, stub, [`node_modules/${name}`]: { resolved: 'stub', link: true } }
  writeFileSync(join(folder, 'package-lock.json'), JSON.stringify({ ...root, lockfileVersion: 3, packages }))
  return folder
}

const binaryIn = (folder: string): string =>
  join(folder, `node_modules/@openai/codex-linux-${process.arch}/vendor/${target}/bin/codex`)

const errorOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'none',
    (error: Error) => error.message,
  )

test('a named binary is used as it is, and one that is no CLI is refused in one line', async () => {
  const folder = temporaryFolder()
  const binary = script(join(folder, 'codex'), 'echo codex-cli 1.2.3')
  expect(await ensureCodex(() => undefined, { binary })).toEqual({ binary, version: '1.2.3' })
  const other = script(join(folder, 'other'), 'echo hello; echo world')
  expect(await errorOf(ensureCodex(() => undefined, { binary: other }))).toBe(
    `${other} does not run as a Codex CLI: hello`,
  )
  expect(await errorOf(ensureCodex(() => undefined, { binary: '/nonexistent' }))).toMatch(
    /^\/nonexistent does not run as a Codex CLI: .*ENOENT$/,
  )
})

test('of several callers one fetches, also after a crash that left the lock behind; later ones find it there', async () => {
  const folder = localFolder()
  writeFileSync(join(folder, '.install-lock'), '999999999')
  const said: string[] = []
  const ask = (): Promise<Codex> => ensureCodex((line) => said.push(line), { folder })
  const expected = { binary: binaryIn(folder), version: '0.1.0' }
  expect(await Promise.all([ask(), ask(), ask()])).toEqual([expected, expected, expected])
  expect(said.filter((line) => line.startsWith('Fetching'))).toHaveLength(1)
  expect(readdirSync(folder).filter((name) => name.startsWith('.install-lock'))).toEqual([])
  said.length = 0
  expect(await ask()).toEqual(expected)
  expect(said).toEqual([])
})

test('another lockfile is fetched anew', async () => {
  const folder = localFolder()
  const said: string[] = []
  await ensureCodex((line) => said.push(line), { folder })
  appendFileSync(join(folder, 'package-lock.json'), '\n')
  await ensureCodex((line) => said.push(line), { folder })
  expect(said.filter((line) => line.startsWith('Fetching'))).toHaveLength(2)
})

test('a fetch that npm refuses is one clear line, and leaves no lock', async () => {
  const folder = localFolder()
  writeFileSync(join(folder, 'package-lock.json'), '{')
  const message = await errorOf(ensureCodex(() => undefined, { folder }))
  expect(message).toMatch(/^The Codex CLI could not be fetched: .+$/)
  expect(existsSync(join(folder, '.install-lock'))).toBe(false)
})

test('a program that runs nothing is no sandbox', async () => {
  expect(await probeSandbox('/bin/true')).toBe(false)
  expect(await probeSandbox('/nonexistent')).toBe(false)
})
