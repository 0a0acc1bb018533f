import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { MAX_BLOB_BYTES } from '#shared/job/result.ts'
import { readSession } from './session.ts'

function home(): { codexHome: string; newest: string } {
  const codexHome = mkdtempSync(join(tmpdir(), 'session-'))
  onTestFinished(() => rmSync(codexHome, { recursive: true }))
  const folder = join(codexHome, 'sessions', '2026', '01', '01')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'rollout-2026-01-01T00-00-00-a.jsonl'), 'older')
  return { codexHome, newest: join(folder, 'rollout-2026-01-01T00-00-01-b.jsonl') }
}

test('the session that was begun last is kept', async () => {
  const { codexHome, newest } = home()
  writeFileSync(newest, 'newest')
  expect((await readSession(codexHome))?.toString()).toBe('newest')
})

test.each([
  ['a link to another file', (path: string) => symlinkSync('/etc/hostname', path)],
  ['a pipe that nobody writes to', (path: string) => void execFileSync('mkfifo', [path])],
  ['a file larger than what is kept', (path: string) => writeFileSync(path, Buffer.alloc(MAX_BLOB_BYTES + 1))],
  ['a folder', (path: string) => mkdirSync(path)],
])('%s in its place is no session', async (_, put) => {
  const { codexHome, newest } = home()
  put(newest)
  expect(await readSession(codexHome)).toBeUndefined()
})
