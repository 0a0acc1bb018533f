import { recorded, type Projection } from '#shared/db/projections.ts'
import { GENESIS } from '#shared/ledger/link.ts'
import type { Head } from '#shared/ledger/verify.ts'

/** One connection. State is made from the ledger and nothing else: there is no forge, no launcher and no model here. */
export interface Database {
  query(text: string, values?: unknown[]): Promise<{ readonly rows: readonly Record<string, unknown>[] }>
}

/** A row that is not the same in both schemas; null on the side that does not have it. */
export interface Difference {
  readonly table: string
  readonly live: unknown
  readonly rebuilt: unknown
}

/** Entries taken in at a time: what this needs of memory does not grow with the ledger. */
const BATCH = 1_000

/** Differences that are shown of one table. */
const SHOWN = 5

/** What a table consists of as far as the ledger keeps it. */
interface Shape {
  readonly table: Projection
  readonly columns: readonly string[]
  readonly key: readonly string[]
  /** Constant defaults: what a row has that was recorded before its column was added. */
  readonly defaults: object
}

const tables = (Object.keys(recorded) as (keyof typeof recorded)[]).filter(
  (table): table is Projection => typeof recorded[table] !== 'string',
)

/**
 * Makes the schema and writes every projection into it, from the first entry of the ledger to the last, which is
 * returned. A row's last entry wins: whoever changes a row holds its lock before the outbox row gets its number, and an
 * entry is appended after the ones that its transaction could see.
 */
export async function rebuild(database: Database, schema: string): Promise<Head> {
  const into = name(schema)
  await database.query(`create schema ${into}`)
  const shapes: Shape[] = []
  for (const table of tables) shapes.push(await make(database, into, table))
  const statement = takeIn(into, shapes)
  const defaults = JSON.stringify(Object.fromEntries(shapes.map((shape) => [shape.table, shape.defaults])))
  let head: Head = { seq: 0, hash: GENESIS }
  for (;;) {
    const { rows } = await database.query(statement, [head.seq, BATCH, defaults, tables])
    const taken = rows[0] as { seq: unknown; hash: string | null; unknown: string | null }
    if (taken.unknown !== null)
      throw new Error(`the ledger has rows of ${taken.unknown}, which this version does not know`)
    if (taken.hash === null) return head
    head = { seq: Number(taken.seq), hash: taken.hash }
  }
}

/** The rows that differ between the live tables and the ones that were rebuilt, a few of each table. */
export async function diff(database: Database, schema: string): Promise<readonly Difference[]> {
  const found: Difference[] = []
  for (const table of tables) {
    const key = (await shapeOf(database, table)).key.map(name).join(', ')
    const { rows } = await database.query(
      `select to_jsonb(live) - $1::text[] as live, to_jsonb(rebuilt) as rebuilt
       from ${name(table)} live full join ${name(schema)}.${name(table)} rebuilt using (${key})
       where to_jsonb(live) - $1::text[] is distinct from to_jsonb(rebuilt) limit ${SHOWN}`,
      [Object.keys(recorded[table])],
    )
    found.push(...rows.map(({ live, rebuilt }) => ({ table, live, rebuilt })))
  }
  return found
}

/** The same table in the other schema, without what the ledger does not keep and without references to it. */
async function make(database: Database, into: string, table: Projection): Promise<Shape> {
  const shape = await shapeOf(database, table)
  const made = `${into}.${name(table)}`
  await database.query(`create table ${made} (like ${name(table)} including defaults including constraints)`)
  for (const column of Object.keys(recorded[table]))
    await database.query(`alter table ${made} drop column ${name(column)}`)
  await database.query(`alter table ${made} add primary key (${shape.key.map(name).join(', ')})`)
  return shape
}

async function shapeOf(database: Database, table: Projection): Promise<Shape> {
  const { rows } = await database.query(
    `select attname as name, attnum = any(indkey) as key, pg_get_expr(adbin, adrelid) as expression
     from pg_attribute
     join pg_index on indrelid = attrelid and indisprimary
     left join pg_attrdef on adrelid = attrelid and adnum = attnum
     where attrelid = $1::regclass and attnum > 0 and not attisdropped and attname <> all($2) order by attnum`,
    [name(table), Object.keys(recorded[table])],
  )
  const columns = rows as readonly { name: string; key: boolean; expression: string | null }[]
  // A default that calls something is the moment's; its column has been there from the beginning.
  const constant = columns.filter(({ expression }) => expression !== null && !expression.includes('('))
  const defaults = await database.query(
    `select jsonb_build_object(${constant.map((each) => `'${each.name}', ${each.expression}`).join(', ')}) as defaults`,
  )
  return {
    table,
    columns: columns.map((column) => column.name),
    key: columns.filter(({ key }) => key).map((column) => column.name),
    defaults: defaults.rows[0]?.['defaults'] as object,
  }
}

/** One statement for a batch: the newest state of each row in it, written over what was there. */
function takeIn(into: string, shapes: readonly Shape[]): string {
  const parts = shapes.map(({ table, columns, key }, index) => {
    const all = columns.map(name).join(', ')
    const own = key.map(name).join(', ')
    const changes = columns
      .filter((column) => !key.includes(column))
      .map((column) => `${name(column)} = excluded.${name(column)}`)
    const newest = key.map((column) => `each.value ->> '${column}'`).join(', ')
    return `part_${index} as (
      insert into ${into}.${name(table)} (${all})
      select ${columns.map((column) => `made.${name(column)}`).join(', ')}
      from (
        select distinct on (${newest}) each.value
        from batch, jsonb_array_elements(batch.rows -> '${table}') with ordinality as each (value, place)
        order by ${newest}, batch.seq desc, each.place desc
      ) changed, jsonb_populate_record(null::${into}.${name(table)}, ($3::jsonb -> '${table}') || changed.value) made
      on conflict (${own}) do ${changes.length === 0 ? 'nothing' : `update set ${changes.join(', ')}`})`
  })
  return `with batch as materialized (
      select seq, hash, entry::jsonb #> '{record,rows}' as rows from ledger where seq > $1 order by seq limit $2
    ), ${parts.join(', ')}
    select max(seq) as seq, (array_agg(hash order by seq desc))[1] as hash,
      (select min(key) from batch, jsonb_object_keys(rows) key where key <> all($4::text[])) as unknown
    from batch`
}

const name = (identifier: string) => `"${identifier.replaceAll('"', '""')}"`
