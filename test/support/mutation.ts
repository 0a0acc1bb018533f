import { sql } from 'kysely'
import { connect, type Db } from '#shared/db/connect.ts'
import { cloneDatabase } from './database.ts'
import type { Edit } from './edited-source.ts'
import { importWith } from './mutant.ts'

/** Where a scenario plays: a database of its own, and the module under test as the mutant has it. */
export interface Stage {
  readonly db: Db
  readonly databaseUrl: string
  load<Module>(entry: string): Promise<Module>
}

/** A guard of the protocol, how to take it away, and what has to go wrong then. */
export interface Guard {
  /** What it keeps true, for the test's name. */
  readonly guard: string
  readonly scenario: (stage: Stage) => Promise<void>
  /** The source file that the edits change. */
  readonly file?: string
  /** Already taken away with the guard in place: what stands before it. */
  readonly before?: readonly Edit[]
  readonly edits?: readonly Edit[]
  /** Tables, each with how the definition of the unique index begins that is dropped. */
  readonly drop?: readonly (readonly [table: string, definition: string])[]
  /** What the scenario says when it fails. */
  readonly fails: RegExp
}

/** The scenario as it is to be. */
export const playWith = (guard: Guard): Promise<void> => play(guard, false)

/** The scenario with the guard taken away: it has to fail, for the reason that the guard names. */
export const playWithout = (guard: Guard): Promise<void> => play(guard, true)

async function play(
  { scenario, file = '', before = [], edits = [], drop = [] }: Guard,
  mutated: boolean,
): Promise<void> {
  const clone = await cloneDatabase()
  const db = connect(clone.url, { name: 'test' })
  const all = [...before, ...(mutated ? edits : [])]
  try {
    for (const each of mutated ? drop : []) await dropUnique(db, ...each)
    await scenario({ db, databaseUrl: clone.url, load: (entry) => importWith(entry, file, all) })
  } finally {
    await db.destroy()
    await clone.drop()
  }
}

/** Drops the one index, with its constraint if it has one, whose columns and condition begin like this. */
async function dropUnique(db: Db, table: string, definition: string): Promise<void> {
  const { rows } = await sql<{ index: string; constraint: string | null }>`
    select indexrelid::regclass::text as index, conname as constraint
    from pg_index left join pg_constraint on conindid = indexrelid and contype in ('p', 'u')
    where indrelid = ${table}::regclass and indisunique
      and starts_with(substring(pg_get_indexdef(indexrelid) from '\\(.*$'), ${definition})`.execute(db)
  const [found] = rows
  if (found === undefined || rows.length > 1)
    throw new Error(`${table} has ${rows.length} unique indexes ${definition}`)
  if (found.constraint === null) await sql`drop index ${sql.raw(found.index)}`.execute(db)
  else await sql`alter table ${sql.table(table)} drop constraint ${sql.id(found.constraint)} cascade`.execute(db)
}

/** How many connections to this database wait for a lock now. */
export async function lockWaits(db: Db): Promise<number> {
  const { rows } = await sql<{ waiting: number }>`
    select count(*)::int as waiting from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`.execute(
    db,
  )
  return rows[0]?.waiting ?? 0
}
