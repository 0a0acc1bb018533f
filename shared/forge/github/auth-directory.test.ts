import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { readGitHubAuth } from './auth-directory.ts'

const PEM = '-----BEGIN RSA PRIVATE KEY-----\nsecret\n-----END RSA PRIVATE KEY-----'

function directory(files: Record<string, string>): string {
  const dir = mkdtempSync(join(tmpdir(), 'github-auth-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text)
  return dir
}

test('an App and a machine user are read from their files', () => {
  expect(readGitHubAuth(directory({ 'app-id': '42\n', 'private-key.pem': `${PEM}\n` }))).toEqual({
    kind: 'app',
    appId: '42',
    privateKey: PEM,
  })
  expect(readGitHubAuth(directory({ token: 'ghp_secret\n' }))).toEqual({ kind: 'token', token: 'ghp_secret' })
})

test('what is missing or wrong is named, and never shown', () => {
  const cases: [Record<string, string>, RegExp][] = [
    [{}, /neither `app-id` and `private-key.pem` .* nor `token`/],
    [{ 'app-id': '42' }, /`private-key.pem` is missing/],
    [{ 'private-key.pem': PEM }, /`app-id` is missing/],
    [{ 'app-id': '42', 'private-key.pem': PEM, token: 'secret' }, /keep one of the two/],
    [{ token: ' \n' }, /`token` is empty/],
    [{ token: 'secret\nsecret' }, /`token` is empty or has/],
    [{ 'app-id': 'secret secret', 'private-key.pem': PEM }, /`app-id` is not/],
    [{ 'app-id': '42', 'private-key.pem': 'secret' }, /not a PEM file/],
  ]
  for (const [files, message] of cases) {
    expect(() => readGitHubAuth(directory(files))).toThrow(message)
    expect(() => readGitHubAuth(directory(files))).not.toThrow(/secret/)
  }
  expect(() => readGitHubAuth('/nowhere/at/all')).toThrow(/neither/)
  const dir = directory({})
  mkdirSync(join(dir, 'token'))
  expect(() => readGitHubAuth(dir)).toThrow(/`token` cannot be read \(EISDIR\)/)
})
