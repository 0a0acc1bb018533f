import { chmodSync, existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { sha256 } from '#shared/digest.ts'
import { ensureCodex, probeSandbox } from './codex.ts'

const target = process.arch === 'arm64' ? 'aarch64-unknown-linux-musl' : 'x86_64-unknown-linux-musl'

function script(file: string, text: string): string {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `#!/bin/sh\n${text}\n`)
  chmodSync(file, 0o755)
  return file
}

/** A folder whose lockfile asks for nothing, so that npm has nothing to fetch. */
function emptyFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'codex-k8s-cli-'))
  const root = { name: 'x', version: '1.0.0' }
  writeFileSync(join(folder, 'package.json'), JSON.stringify(root))
  writeFileSync(
    join(folder, 'package-lock.json'),
    JSON.stringify({ ...root, lockfileVersion: 3, packages: { '': root } }),
  )
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
  const folder = mkdtempSync(join(tmpdir(), 'codex-k8s-cli-'))
  const binary = script(join(folder, 'codex'), 'echo codex-cli 1.2.3')
  expect(await ensureCodex(() => undefined, { binary })).toEqual({ binary, version: '1.2.3' })
  expect(await errorOf(ensureCodex(() => undefined, { binary: '/bin/true' }))).toBe(
    '/bin/true does not run as a Codex CLI: ',
  )
  expect(await errorOf(ensureCodex(() => undefined, { binary: '/nonexistent' }))).toMatch(
    /^\/nonexistent does not run as a Codex CLI: .*ENOENT$/,
  )
})

test('what is there already is not fetched again', async () => {
  const folder = emptyFolder()
  const binary = script(binaryIn(folder), 'echo codex-cli 0.1.0')
  const lockfile = JSON.stringify({ lockfileVersion: 3 })
  writeFileSync(join(folder, 'package-lock.json'), lockfile)
  writeFileSync(join(folder, 'node_modules/.codex-k8s-stamp'), sha256(lockfile))
  const said: string[] = []
  expect(await ensureCodex((line) => said.push(line), { folder })).toEqual({ binary, version: '0.1.0' })
  expect(said).toEqual([])
})

test('of several callers one fetches, also after a crash that left the lock behind', async () => {
  const folder = emptyFolder()
  writeFileSync(join(folder, '.install-lock'), '999999999')
  const said: string[] = []
  const callers = Array.from({ length: 3 }, () => errorOf(ensureCodex((line) => said.push(line), { folder })))
  // Nothing was asked for, so no binary is there in the end.
  for (const message of await Promise.all(callers)) expect(message).toMatch(/ENOENT/)
  expect(said.filter((line) => line.startsWith('Fetching'))).toHaveLength(1)
  expect(existsSync(join(folder, '.install-lock'))).toBe(false)
})

test('a fetch that npm refuses is one clear line, and leaves no lock', async () => {
  const folder = emptyFolder()
  writeFileSync(join(folder, 'package-lock.json'), '{')
  const message = await errorOf(ensureCodex(() => undefined, { folder }))
  expect(message).toMatch(/^The Codex CLI could not be fetched: .+$/)
  expect(existsSync(join(folder, '.install-lock'))).toBe(false)
})

test('a program that runs nothing is no sandbox', async () => {
  expect(await probeSandbox('/bin/true')).toBe(false)
  expect(await probeSandbox('/nonexistent')).toBe(false)
})
