import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { test } from './database.ts'

describe('the database of a test', () => {
  for (const round of [1, 2]) {
    test(`is migrated and empty (${round})`, async ({ db }) => {
      await sql`create table mine (id int)`.execute(db)
      const { rows } = await sql<{ name: string }>`select name from migrations`.execute(db)
      expect(rows.length).toBeGreaterThan(0)
    })
  }

  test('is the one that its URL names', async ({ db, databaseUrl }) => {
    const { rows } = await sql<{ name: string }>`select current_database() as name`.execute(db)
    expect(databaseUrl.endsWith(`/${rows[0]?.name}`)).toBe(true)
  })
})
