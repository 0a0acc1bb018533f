import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished } from 'vitest'
import { connectRepository } from './local/connect-repository.ts'
import { create } from '../functions/audit-sink/app.ts'
import { quiet, sweep } from '#shared/edge/testing/post.ts'
import { test } from '../test/support/database.ts'
import { endOf, spawnNode } from '../test/support/processes.ts'

const script = fileURLToPath(new URL('audit-rebuild.ts', import.meta.url))

test('the command says what differs from the ledger, and that nothing does', async ({ db, databaseUrl }) => {
  const run = async (...args: string[]) => {
    const command = spawnNode(script, { args, env: { DATABASE_URL: databaseUrl } })
    const { code } = await endOf(command, 30_000)
    return { code, said: command.lines.join('\n') }
  }
  const repository = { instance: 'http://forge.test', repositoryId: '1', fullName: 'a/b', installationId: null }
  const secrets = mkdtempSync(join(tmpdir(), 'secrets-'))
  onTestFinished(() => rmSync(secrets, { recursive: true }))
  await connectRepository(db, secrets, { ...repository, ownActorId: '1' })
  expect(await run('--into', 'early')).toMatchObject({ code: 1, said: expect.stringContaining('1 records are not in') })
  await sweep(create({ db, log: quiet }))

  expect(await run()).toMatchObject({ code: 2, said: expect.stringContaining('usage') })
  const good = await run('--into', 'good')
  expect(good).toMatchObject({ code: 0, said: expect.stringContaining('1 entries rebuilt into good') })
  expect(good.said).toMatch(/nothing differs$/)
  expect(await run('--into', 'good')).toMatchObject({ code: 2, said: 'schema "good" already exists' })

  await db.updateTable('projects').set({ max_active: 7 }).execute()
  const bad = await run('--into', 'bad')
  expect(bad).toMatchObject({ code: 1, said: expect.stringContaining('"max_active":7') })
})
