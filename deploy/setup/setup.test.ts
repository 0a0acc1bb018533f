import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished } from 'vitest'
import { writeAs } from '#shared/outbox/deliver.ts'
import { connectProject } from '#shared/project/connect.ts'
import { labels } from '#shared/workflow/labels.ts'
import { at, forgeFor } from '../local/forge/testing.ts'
import { test } from '../../test/support/database.ts'
import { endOf, spawnNode } from '../../test/support/processes.ts'
import { standing, type Way } from './await-ping.ts'
import { SELF_TEST } from './self-test.ts'

const script = fileURLToPath(new URL('main.ts', import.meta.url))
const repository = `${at.owner}/${at.repo}`

/** The Job's surroundings: a forge, the mounted Secrets. */
async function world(databaseUrl: string, token: string) {
  const forge = await forgeFor()
  const folder = (files: Readonly<Record<string, string>>) => {
    const path = mkdtempSync(join(tmpdir(), 'setup-'))
    onTestFinished(() => rmSync(path, { recursive: true }))
    for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text)
    return path
  }
  const env = {
    DATABASE_URL: databaseUrl,
    GITHUB_URL: forge.url,
    FORGE_AUTH_DIR: folder({ token }),
    SECRETS_DIR: folder({ 'github.alice-calc.1': 's'.repeat(64) }),
    SECRET_NAME: 'github.alice-calc.1',
    PUBLIC_URL: 'https://hooks.example',
  }
  const run = async (...args: string[]) => {
    const job = spawnNode(script, { args, env })
    const { code } = await endOf(job, 30_000)
    const lines = job.lines.flatMap((line) =>
      line.startsWith('{') ? [JSON.parse(line) as Record<string, string>] : [],
    )
    return { code, lines, text: job.lines.join('\n') }
  }
  return { forge, run }
}

test('a repository gets its project, webhook and labels, and the second time all of it is adopted', async ({
  databaseUrl,
  db,
}) => {
  const { forge, run } = await world(databaseUrl, 'token-alice')
  const first = await run('connect', repository)
  expect(first).toMatchObject({ code: 0, lines: [{ did: 'connected' }, { did: 'created' }, { what: 'labels' }] })
  const alice = forge.as('alice')
  const hooks = async () => (await alice.request('GET /repos/{owner}/{repo}/hooks', at)).data
  const { id } = await db.selectFrom('hooks').select('id').executeTakeFirstOrThrow()
  expect(await hooks()).toMatchObject([{ config: { url: `https://hooks.example/hooks/github/${id}` } }])
  const named = await alice.request('GET /repos/{owner}/{repo}/labels', { ...at, per_page: 100 })
  expect(named.data.map(({ name }) => name)).toEqual(expect.arrayContaining(labels.map(({ name }) => name)))

  const second = await run('connect', repository)
  expect(second.lines).toMatchObject([
    { did: 'unchanged' },
    { did: 'adopted' },
    { did: `0 created, 0 repaired, ${labels.length} unchanged` },
  ])
  expect(await hooks()).toHaveLength(1)
  expect(first.text + second.text).not.toMatch(/s{64}|token-alice/)

  expect(await run('disconnect')).toMatchObject({ code: 0, lines: [{ did: 'removed' }] })
  expect(await hooks()).toEqual([])
  const { state } = await db.selectFrom('projects').select('state').executeTakeFirstOrThrow()
  expect(state).toBe('disconnected')
}, 60_000)

test('who may not make webhooks is told what to allow and how to make it by hand', async ({ databaseUrl }) => {
  const { run } = await world(databaseUrl, 'token-bob')
  const { code, lines } = await run('connect', repository)
  expect(code).toBe(1)
  expect(lines.at(-1)?.['mend']).toMatch(/admin:repo_hook.*https:\/\/hooks.example\/hooks\/github\/[0-9a-f]{32}/)
  expect((await run('connect', 'alice/nothing')).lines).toMatchObject([
    { mend: expect.stringContaining('give the machine') },
  ])
}, 60_000)

test('a webhook that the forge does not let us remove is named, and its project starts nothing more', async ({
  databaseUrl,
  db,
}) => {
  const { forge, run } = await world(databaseUrl, 'token-eve')
  const unknown = {
    instance: forge.url,
    repositoryId: '9',
    fullName: 'alice/gone',
    installationId: null,
    ownActorId: '1',
  }
  await writeAs(db, 'test', (writer) => connectProject(writer, unknown, ['x']))
  const { code, lines } = await run('disconnect')
  expect(code).toBe(0)
  expect(lines).toMatchObject([{ did: expect.stringMatching(/left at the forge .* by hand/) }])
  const { state } = await db.selectFrom('projects').select('state').executeTakeFirstOrThrow()
  expect(state).toBe('disconnected')
}, 60_000)

test('the hook of the self-test is made once and belongs to nobody', async ({ databaseUrl, db }) => {
  const job = spawnNode(script, { args: ['await-ping', randomUUID()], env: { DATABASE_URL: databaseUrl } })
  await expect.poll(() => job.lines.join(), { timeout: 20_000 }).toContain('"ready"')
  await job.kill()
  const again = spawnNode(script, { args: ['await-ping', randomUUID()], env: { DATABASE_URL: databaseUrl } })
  await expect.poll(() => again.lines.join(), { timeout: 20_000 }).toContain('"ready"')
  await again.kill()
  const hooks = await db.selectFrom('hooks').select(['id', 'project_id', 'instance', 'secret_name']).execute()
  expect(hooks).toEqual([
    { id: SELF_TEST.hook, project_id: null, instance: SELF_TEST.instance, secret_name: SELF_TEST.secretName },
  ])
})

test('where a ping stopped is known from what the database has of it', () => {
  const way: Way = { inbox: 'accepted', reason: null, sentMs: 3, delivery: 'done', outcome: null, ledgerMs: 20 }
  const at = (more: Partial<Way> | undefined) => {
    const now = standing(more && { ...way, ...more })
    return now === 'there' ? now : now.at
  }
  expect(at({})).toBe('there')
  expect(at(undefined)).toBe('gateway')
  expect(at({ inbox: 'quarantined', reason: 'project_unknown', ledgerMs: null })).toBe('gateway')
  expect(at({ sentMs: null, delivery: 'pending', ledgerMs: null })).toBe('outbox')
  expect(at({ delivery: 'pending', ledgerMs: null })).toBe('broker')
  expect(at({ delivery: 'quarantined', ledgerMs: null })).toBe('sink')
})
