import { expect } from 'vitest'
import { test } from '../../test/support/database.ts'
import { connectProject, disconnectProjects, rememberHook } from './connect.ts'

const repository = {
  instance: 'https://forge.test',
  repositoryId: '7',
  fullName: 'a/b',
  installationId: null,
  ownActorId: '1',
}

test('a repository that is connected again keeps its project and hook, and nothing is said of it', async ({ db }) => {
  const first = await connectProject(db, 'setup', repository, 'one')
  expect(first.did).toBe('connected')
  expect(await connectProject(db, 'setup', repository, 'one')).toEqual({ ...first, did: 'unchanged' })
  const events = await db.selectFrom('outbox').select('type').execute()
  expect(events).toEqual([{ type: 'dev.codex-k8s.project.connected.v1' }])
})

test('ten that connect one repository at once make one project and one hook', async ({ db }) => {
  const all = await Promise.all(Array.from({ length: 10 }, () => connectProject(db, 'setup', repository, 'one')))
  expect(new Set(all.map(({ projectId, hookId }) => `${projectId} ${hookId}`)).size).toBe(1)
  expect(all.filter(({ did }) => did === 'connected')).toHaveLength(1)
  expect(await db.selectFrom('hooks').selectAll().execute()).toHaveLength(1)
})

test('a new name and settings are taken over, and what is not said stays', async ({ db }) => {
  const settings = { labels: { 'run:dev': 'go' } }
  const { projectId } = await connectProject(db, 'setup', { ...repository, maxActive: 5, settings }, 'one')
  expect(await connectProject(db, 'setup', { ...repository, fullName: 'a/c' }, 'one')).toMatchObject({
    projectId,
    did: 'changed',
  })
  const row = await db.selectFrom('projects').selectAll().executeTakeFirstOrThrow()
  expect(row).toMatchObject({ full_name: 'a/c', max_active: 5, settings })
})

test('a hook with another secret that is there is as good as a new one, and one without its secret is not', async ({
  db,
}) => {
  const first = await connectProject(db, 'setup', repository, 'one')
  expect(await connectProject(db, 'setup', repository, 'two', ['one', 'x'])).toEqual({ ...first, did: 'unchanged' })
  const second = await connectProject(db, 'setup', repository, 'three')
  expect(second).toMatchObject({ secretName: 'three', did: 'changed' })
  expect(second.hookId).not.toBe(first.hookId)
})

test('what was disconnected is connected again as the same project', async ({ db }) => {
  const { projectId } = await connectProject(db, 'setup', repository, 'one')
  await disconnectProjects(db, 'setup', [])
  const state = async () => (await db.selectFrom('projects').select('state').executeTakeFirstOrThrow()).state
  expect(await state()).toBe('connected')
  await disconnectProjects(db, 'setup', [projectId])
  expect(await state()).toBe('disconnected')
  expect(await connectProject(db, 'setup', repository, 'one')).toMatchObject({ projectId, did: 'connected' })
  expect(await state()).toBe('connected')
})

test('the forge may have another hook for ours now', async ({ db }) => {
  const hook = await connectProject(db, 'setup', repository, 'one')
  await rememberHook(db, hook, '10')
  await rememberHook(db, hook, '11')
  expect(await db.selectFrom('hook_checks').select('forge_hook_id').execute()).toEqual([{ forge_hook_id: '11' }])
})
