import { sql } from 'kysely'
import { expect } from 'vitest'
import { test } from '../../test/support/database.ts'
import { recorded } from './projections.ts'

const projections = Object.entries(recorded).flatMap(([table, left]) =>
  typeof left === 'string' ? [] : [{ table, left: Object.keys(left) }],
)

test('every table and view is rebuilt from the ledger, or it is said why not', async ({ db }) => {
  const { rows } = await sql<{ name: string }>`
    select table_name::text as name from information_schema.tables
    where table_schema = 'public' order by 1`.execute(db)
  expect(rows.map(({ name }) => name)).toEqual(Object.keys(recorded).toSorted())
})

test('a column that is not rebuilt is there and is no part of a key', async ({ db }) => {
  for (const { table, left } of projections) {
    const { rows } = await sql<{ name: string; key: boolean }>`
      select attname::text as name, attnum = any(indkey) as key from pg_attribute
      join pg_index on indrelid = attrelid and indisprimary
      where attrelid = ${table}::regclass and attnum > 0 and not attisdropped`.execute(db)
    expect(rows.filter(({ key }) => key)).not.toEqual([])
    const free = rows.filter(({ key }) => !key).map(({ name }) => name)
    expect(left.filter((column) => !free.includes(column))).toEqual([])
  }
})

test('times of what is rebuilt have milliseconds: more would not survive the trip through an event', async ({ db }) => {
  const { rows } = await sql<{ name: string }>`
    select table_name || '.' || column_name as name from information_schema.columns
    where table_schema = 'public' and data_type like 'timestamp%'
      and not (data_type = 'timestamp with time zone' and datetime_precision = 3)
      and table_name = any(${projections.map(({ table }) => table)})`.execute(db)
  expect(rows).toEqual([])
})
