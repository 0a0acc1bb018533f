import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { bundleCommandLine } from '../bundle-command-line.ts'

const script = join(import.meta.dirname, 'main.ts')
const run = (...args: string[]) =>
  spawnSync(process.execPath, args, { encoding: 'utf8', env: { KUBECTL: 'no-such-kubectl' } })

test('the command is one file that says how it is used', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'command-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'codex-k8s')
  await bundleCommandLine(file, script)
  expect(run(file, '--help')).toMatchObject({ status: 0, stdout: expect.stringContaining('usage: ') })
})

test('what was called wrongly is answered 2 with the usage, and nothing is done', () => {
  for (const args of [
    [],
    ['instal'],
    ['install', 'too', 'much'],
    ['connect'],
    ['connect', 'x'],
    ['install', '--force'],
  ])
    expect(run(script, ...args)).toMatchObject({ status: 2, stdout: '', stderr: expect.stringContaining('usage: ') })
  expect(run(script, 'uninstall')).toMatchObject({ status: 2, stderr: expect.stringContaining('say --yes') })
})

test('a configuration that is not there is answered 1 with what to do', () => {
  const { status, stderr } = run(script, 'install', '--config', '/nowhere/codex-k8s.yaml')
  expect([status, stderr]).toEqual([1, expect.stringMatching(/^Error: .* is not there: cp codex-k8s.example.yaml/)])
})

test('without kubectl it says so', () => {
  const config = join(import.meta.dirname, '..', '..', 'codex-k8s.example.yaml')
  const { status, stderr } = run(script, 'self-test', '--config', config)
  expect([status, stderr]).toEqual([1, expect.stringContaining('no-such-kubectl is not there: install kubectl')])
})
