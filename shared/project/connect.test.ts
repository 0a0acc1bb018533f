import { expect } from 'vitest'
import { test } from '../../test/support/database.ts'
import type { Db } from '#shared/db/connect.ts'
import { writeAs } from '#shared/outbox/deliver.ts'
import { addRun } from '#shared/run/testing/rows.ts'
import * as project from './connect.ts'

const { rememberHook } = project

const repository = {
  instance: 'https://forge.test',
  repositoryId: '7',
  fullName: 'a/b',
  installationId: null,
  ownActorId: '1',
}

const connect = async (db: Db, wanted: project.Repository, ...names: readonly [string, ...string[]]) =>
  (await writeAs(db, 'setup', (writer) => project.connectProject(writer, wanted, names))).result
const add = async (db: Db, wanted: project.Repository = repository) =>
  (await writeAs(db, 'setup', (writer) => project.addProject(writer, wanted))).result
const disconnect = (db: Db, id: string) => writeAs(db, 'setup', (writer) => project.disconnectProject(writer, id))
const stateOf = async (db: Db) => (await db.selectFrom('projects').select('state').executeTakeFirstOrThrow()).state

test('a repository that is connected again keeps its project and hook, and nothing is said of it', async ({ db }) => {
  const first = await connect(db, repository, 'one')
  expect(first.did).toBe('connected')
  expect(await connect(db, repository, 'one')).toEqual({ ...first, did: 'unchanged' })
  const events = await db.selectFrom('outbox').select('type').execute()
  expect(events).toEqual([{ type: 'dev.codex-k8s.project.connected.v1' }])
})

test('ten that connect one repository at once make one project and one hook', async ({ db }) => {
  const all = await Promise.all(Array.from({ length: 10 }, () => connect(db, repository, 'one')))
  expect(new Set(all.map(({ projectId, hookId }) => `${projectId} ${hookId}`)).size).toBe(1)
  expect(all.filter(({ did }) => did === 'connected')).toHaveLength(1)
  expect(await db.selectFrom('hooks').selectAll().execute()).toHaveLength(1)
})

test('a new name and settings are taken over, and what is not said stays', async ({ db }) => {
  const settings = { labels: { 'run:dev': 'go' } }
  const { projectId } = await connect(db, { ...repository, maxActive: 5, settings }, 'one')
  expect(await connect(db, { ...repository, fullName: 'a/c' }, 'one')).toMatchObject({
    projectId,
    did: 'changed',
  })
  const row = await db.selectFrom('projects').selectAll().executeTakeFirstOrThrow()
  expect(row).toMatchObject({ full_name: 'a/c', max_active: 5, settings })
})

test('a hook with another secret that is there is as good as a new one, and one without its secret is not', async ({
  db,
}) => {
  const first = await connect(db, repository, 'one')
  expect(await connect(db, repository, 'two', 'one', 'x')).toEqual({ ...first, did: 'unchanged' })
  const second = await connect(db, repository, 'three')
  expect(second).toMatchObject({ secretName: 'three', did: 'changed' })
  expect(second.hookId).not.toBe(first.hookId)
})

test('what was disconnected is connected again as the same project', async ({ db }) => {
  const { projectId } = await connect(db, repository, 'one')
  await disconnect(db, '00000000-0000-4000-8000-000000000000')
  expect(await stateOf(db)).toBe('connected')
  expect((await disconnect(db, projectId)).result.did).toBe('disconnected')
  expect(await stateOf(db)).toBe('disconnected')
  expect(await disconnect(db, projectId)).toEqual({ result: { did: 'unchanged' }, written: [] })
  expect(await connect(db, repository, 'one')).toMatchObject({ projectId, did: 'connected' })
  expect(await stateOf(db)).toBe('connected')
})

test('what is under way in a repository that is disconnected is cancelled', async ({ db }) => {
  const { projectId } = await connect(db, repository, 'one')
  const { id } = await addRun(db, await db.selectFrom('projects').selectAll().executeTakeFirstOrThrow())
  await disconnect(db, projectId)
  const run = await db.selectFrom('runs').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
  expect(run).toMatchObject({ state: 'cancelled', reason: 'project_removed' })
})

test('a repository that one door took in is connected by the other, with the same project and hook', async ({ db }) => {
  const { projectId } = await add(db)
  expect(await stateOf(db)).toBe('disconnected')
  const { id, secret_name } = await db.selectFrom('hooks').selectAll().executeTakeFirstOrThrow()
  expect(secret_name).toBe(`hook-${id}`)
  const connected = await connect(db, repository, 'one', secret_name)
  expect(connected).toMatchObject({ projectId, hookId: id, secretName: secret_name, did: 'connected' })
  expect(await add(db)).toEqual({ projectId, did: 'unchanged' })
  // What is said again is taken over, and what is not said stays.
  const more = { ...repository, maxActive: 7, settings: { runNamespace: 'runs' } }
  expect(await add(db, more)).toEqual({ projectId, did: 'changed' })
  expect(await add(db, { ...repository, settings: { labels: {} } })).toEqual({ projectId, did: 'changed' })
  const row = await db.selectFrom('projects').selectAll().executeTakeFirstOrThrow()
  expect(row).toMatchObject({ max_active: 7, settings: { runNamespace: 'runs', labels: {} } })
  expect(await stateOf(db)).toBe('connected')
})

test('the forge may have another hook for ours now', async ({ db }) => {
  const hook = await connect(db, repository, 'one')
  await rememberHook(db, hook, '10')
  await rememberHook(db, hook, '11')
  expect(await db.selectFrom('hook_checks').select('forge_hook_id').execute()).toEqual([{ forge_hook_id: '11' }])
})
