import { expect } from 'vitest'
import { addProject } from '#shared/run/testing/rows.ts'
import { staff } from './testing/staff.ts'
import { test } from './testing/test.ts'

test('a role is given, changed, used and taken away; who did it stays', async ({ db }) => {
  const { call, acts } = await staff(db)
  const project = await addProject(db)
  const give = (role: string) =>
    call('POST', '/v1/grants', { body: { kind: 'group', name: 'operators', role, project: project.id } })
  expect(await call('GET', `/v1/projects/${project.id}`, { as: 'olga' })).toMatchObject({ status: 404 })
  const answers = await Promise.all([give('viewer'), give('viewer'), give('viewer')])
  expect(answers.filter(({ json }) => json['changed'] === true)).toHaveLength(1)
  expect(await call('GET', `/v1/projects/${project.id}`, { as: 'olga' })).toMatchObject({ status: 200 })
  expect((await call('GET', '/v1/whoami', { as: 'olga' })).json).toMatchObject({
    user: 'olga',
    roles: [{ role: 'viewer', project: project.id }],
  })
  const { json } = await give('admin')
  expect((await call('GET', '/v1/grants')).json).toMatchObject({ grants: [{ role: 'admin' }] })
  // An admin of one project gives nobody a role.
  const body = { kind: 'user', name: 'olga', role: 'admin' }
  expect(await call('POST', '/v1/grants', { as: 'olga', body })).toMatchObject({ status: 403 })
  const path = `/v1/grants/${(json['grant'] as { id: string }).id}`
  expect((await call('DELETE', path)).json).toMatchObject({ changed: true })
  expect((await call('DELETE', path)).json).toMatchObject({ changed: false })
  expect(await call('GET', `/v1/projects/${project.id}`, { as: 'olga' })).toMatchObject({ status: 404 })
  expect((await acts()).map((act) => (act as { action: string }).action)).toEqual([
    'access.granted',
    'access.granted',
    'access.revoked',
  ])
  expect(await db.selectFrom('grants').select('revoked_by').execute()).toEqual([
    { revoked_by: 'root' },
    { revoked_by: 'root' },
  ])
})

test('two roles of one name on one scope, and a word that is no role, are refused by the table itself', async ({
  db,
}) => {
  const insert = (role: string) =>
    db
      .insertInto('grants')
      .values({ kind: 'user', name: 'a', role: role as 'admin', project_id: null, granted_by: 'test' })
      .execute()
  await insert('viewer')
  await expect(insert('admin')).rejects.toThrow('grants_active')
  await expect(insert('owner')).rejects.toThrow('grants_role_check')
})
