import { readdirSync } from 'node:fs'
import pg from 'pg'
import { expect, inject } from 'vitest'
import { administer, databaseUrl as urlOf } from '../../test/support/administer.ts'
import { test as base } from '../../test/support/database.ts'
import { migrate } from './migrate.ts'

const names = readdirSync(new URL('./migrations/', import.meta.url))
  .filter((name) => name.endsWith('.sql'))
  .toSorted()

/** A database with nothing in it. */
const test = base.extend<{ empty: string }>({
  // oxlint-disable-next-line no-empty-pattern -- vitest reads the destructured names
  empty: async ({}, use) => {
    const { url } = inject('postgres')
    const name = `empty_${process.pid}_${Math.floor(performance.now() * 1000)}`
    await administer(url, `create database ${name}`)
    await use(urlOf(url, name))
    await administer(url, `drop database ${name} with (force)`)
  },
})

async function query(url: string, text: string) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(text)).rows as Record<string, unknown>[]
  } finally {
    await client.end()
  }
}

test('F25 a database is brought up to date once, by however many at the same time', async ({ empty }) => {
  const fresh = await Promise.all(Array.from({ length: 5 }, () => migrate(empty)))
  expect(fresh.flat().toSorted()).toEqual(names)
  expect(await migrate(empty)).toEqual([])
  expect((await query(empty, 'select name from migrations order by name')).map(({ name }) => name)).toEqual(names)
})

test('a migration that was edited after it was applied stops everything', async ({ databaseUrl }) => {
  await query(databaseUrl, `update migrations set digest = 'another' where name = '${names[0]}'`)
  await expect(migrate(databaseUrl)).rejects.toThrow(`migration ${names[0]} was changed after it was applied`)
})

test('a database of a newer version is left alone, and said to be', async ({ databaseUrl }) => {
  await query(databaseUrl, "insert into migrations (name, digest) values ('999999_tomorrow.sql', 'x')")
  await expect(migrate(databaseUrl)).rejects.toThrow(/newer than this version: it has 999999_tomorrow\.sql/)
})

test('a migration that fails leaves nothing of itself, and the next try can succeed', async ({ empty }) => {
  await query(empty, 'create table runs (in_the_way int)')
  await expect(migrate(empty)).rejects.toThrow(new RegExp(`migration ${names[0]} failed: .*runs`))
  expect(await query(empty, "select 1 from pg_tables where tablename = 'projects'")).toEqual([])
  await query(empty, 'drop table runs')
  expect(await migrate(empty)).toEqual(names)
})
