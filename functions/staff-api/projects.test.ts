import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { forgeForFile } from '#shared/run/testing/forge.ts'
import { addRun } from '#shared/run/testing/rows.ts'
import { labels } from '#shared/workflow/labels.ts'
import { staff } from './testing/staff.ts'
import { test } from './testing/test.ts'

const forge = forgeForFile()

interface Shown {
  readonly id: string
  readonly state: string
  readonly hook: { readonly id: string; readonly secretName: string; readonly state: string }
}

test('a repository is taken in, connected with a secret that nobody sends, and removed; each again changes nothing', async ({
  db,
}) => {
  const { call, acts, secretsDir, lines } = await staff(db, { github: forge.github(), publicUrl: 'http://127.0.0.1:9' })
  const body = { repository: 'maria/shop', maxActive: 3, runNamespace: 'codex-k8s-runs' }
  const added = await Promise.all([1, 2].map(() => call('POST', '/v1/projects', { body })))
  expect(added.map(({ status }) => status)).toEqual([200, 200])
  expect(added.filter(({ json }) => json['changed'] === true)).toHaveLength(1)
  const project = added[0]?.json['project'] as Shown
  expect(project).toMatchObject({ state: 'disconnected', maxActive: 3, hook: { state: 'waiting' } })

  const connect = () => call('POST', `/v1/projects/${project.id}/connect`)
  const early = await connect()
  expect(early).toMatchObject({ status: 503, code: 'secret_not_visible' })
  expect(early.headers.get('retry-after')).toBe('10')
  const secret = 'canary-secret-0123456789abcdef0123456789'
  writeFileSync(join(secretsDir, project.hook.secretName), secret)
  const connected = await connect()
  expect(connected.json).toMatchObject({ changed: true, project: { state: 'connected', hook: { state: 'connected' } } })
  expect((await connect()).json).toMatchObject({ changed: false })
  const hooks = await forge.person<{ config: { url: string } }[]>('GET', '/repos/maria/shop/hooks')
  expect(hooks.filter(({ config }) => config.url.endsWith(`/hooks/github/${project.hook.id}`))).toHaveLength(1)
  const there = await forge.person<{ name: string }[]>('GET', '/repos/maria/shop/labels?per_page=100')
  expect(there.map(({ name }) => name)).toEqual(expect.arrayContaining(labels.map(({ name }) => name)))
  const synced = await call('POST', `/v1/projects/${project.id}/labels`)
  expect(synced.json).toEqual({ created: [], repaired: [], unchanged: labels.length })

  const row = await db.selectFrom('projects').selectAll().executeTakeFirstOrThrow()
  const run = await addRun(db, row)
  const removed = await call('DELETE', `/v1/projects/${project.id}`)
  expect(removed.json).toMatchObject({ changed: true, project: { state: 'disconnected', hook: { state: 'waiting' } } })
  expect((await call('DELETE', `/v1/projects/${project.id}`)).json).toMatchObject({ changed: false })
  expect((await call('GET', `/v1/runs/${run.id}`)).json).toMatchObject({
    run: { state: 'cancelled', reason: { code: 'project_removed' } },
  })
  const left = await forge.person<{ config: { url: string } }[]>('GET', '/repos/maria/shop/hooks')
  expect(left.filter(({ config }) => config.url.endsWith(project.hook.id))).toEqual([])
  const done = (await acts()).map((act) => (act as { action: string }).action)
  expect(done).toEqual(['project.added', 'project.connected', 'project.removed'])
  expect(lines.filter((line) => line.includes('canary-'))).toEqual([])
}, 120_000)

test('a hook that the forge does not let us take away is named once; the repository is disconnected all the same', async ({
  db,
}) => {
  const { call, secretsDir } = await staff(db, { github: forge.github(), publicUrl: 'http://127.0.0.1:9' })
  const added = await call('POST', '/v1/projects', { body: { repository: 'maria/shop', maxActive: 3 } })
  const { id, hook } = added.json['project'] as Shown
  // Said again, it is taken over; what is not said stays.
  const again = await call('POST', '/v1/projects', {
    body: { repository: 'maria/shop', runNamespace: 'codex-k8s-runs' },
  })
  expect(again.json).toMatchObject({ changed: true, project: { maxActive: 3, runNamespace: 'codex-k8s-runs' } })
  writeFileSync(join(secretsDir, hook.secretName), 'x'.repeat(64))
  expect(await call('POST', `/v1/projects/${id}/connect`)).toMatchObject({ status: 200 })
  const denied = { status: 403, body: { message: 'Resource not accessible' } }
  await forge.fault('GET', '/repos/maria/shop/labels', denied)
  expect(await call('POST', `/v1/projects/${id}/labels`)).toMatchObject({ status: 409, code: 'forge_denied' })
  await forge.fault('GET', '/repos/maria/shop/labels', { status: 404, body: { message: 'Not Found' } })
  expect(await call('POST', `/v1/projects/${id}/labels`)).toMatchObject({ status: 409, code: 'repository_not_found' })
  await forge.fault('GET', '/repos/maria/shop/hooks', denied)
  const removed = await call('DELETE', `/v1/projects/${id}`)
  expect(removed).toMatchObject({ status: 409, code: 'hook_left' })
  expect(removed.text).toContain(`/hooks/github/${hook.id}`)
  const after = await call('DELETE', `/v1/projects/${id}`)
  expect(after.json).toMatchObject({ changed: false, project: { state: 'disconnected', hook: { state: 'waiting' } } })
}, 120_000)

test('what the forge does not show us, and a place to run that is not there, are refused with what to do', async ({
  db,
}) => {
  const { call } = await staff(db, { github: forge.github() })
  const add = (body: object) => call('POST', '/v1/projects', { body })
  expect(await add({ repository: 'maria/nothing' })).toMatchObject({ status: 409, code: 'repository_not_found' })
  const elsewhere = { repository: 'maria/shop', runNamespace: 'kube-system' }
  expect(await add(elsewhere)).toMatchObject({ status: 409, code: 'run_namespace_unknown' })
  expect(await db.selectFrom('projects').select('id').execute()).toEqual([])
})
