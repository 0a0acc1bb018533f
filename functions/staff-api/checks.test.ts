import { expect } from 'vitest'
import { sql } from 'kysely'
import { requestStages } from '#shared/run/testing/rows.ts'
import { staff } from './testing/staff.ts'
import { test } from './testing/test.ts'

interface Check {
  readonly name: string
  readonly status: string
  readonly next: string | null
}

test('each check that is not ok says what to do', async ({ db }) => {
  const { call } = await staff(db, { newestMigration: '999999_tomorrow.sql' })
  await requestStages(db, 1)
  await db
    .updateTable('deliveries')
    .set({ due_at: sql`now() - interval '5 minutes'` })
    .execute()
  const { json } = await call('GET', '/v1/checks')
  const checks = json['checks'] as Check[]
  const status = Object.fromEntries(checks.map((check) => [check.name, check.status]))
  expect(status).toMatchObject({
    database: 'ok',
    migrations: 'failed',
    ledger: 'warning',
    deliveries: 'warning',
    quarantine: 'ok',
    forge: 'failed',
    model: 'failed',
    sweep: 'warning',
  })
  for (const check of checks) expect(check.next === null).toBe(check.status === 'ok')
})
