import { sql } from 'kysely'
import { expect } from 'vitest'
import { connect, prepared } from '#shared/db/connect.ts'
import { test } from '../../test/support/database.ts'

const statements = sql<{ runs: number }>`select generic_plans + custom_plans as runs from pg_prepared_statements`

test('a connection keeps what is marked as prepared, raw or built, and nothing else', async ({ databaseUrl }) => {
  const db = connect(databaseUrl, { name: 'test', max: 1 })
  for (const value of [1, 2]) {
    expect((await sql<{ v: number }>`${prepared} select ${value}::int as v`.execute(db)).rows).toEqual([{ v: value }])
    await db.selectFrom('hooks').modifyFront(prepared).select('id').where('id', '=', String(value)).execute()
    await sql`select ${value}::int as v`.execute(db)
  }
  expect((await statements.execute(db)).rows).toEqual([{ runs: 2 }, { runs: 2 }])
  await db.destroy()
})
