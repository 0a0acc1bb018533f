import { sql } from 'kysely'
import { describe, expect, inject } from 'vitest'
import { connect, type Db } from '#shared/db/connect.ts'
import { transaction } from '#shared/db/transaction.ts'
import { emit } from '#shared/outbox/write.ts'
import { quiet, sweep } from '#shared/edge/testing/post.ts'
import { create } from './app.ts'
import { chain, type Link } from './chain.ts'
import type { Pending } from './handler.ts'
import { store } from './store.ts'
import { test as base, withLogin } from './testing/test.ts'

/** The same database as each login sees it. */
const test = base.extend<{ functions: Db; audit: Db }>({
  functions: async ({ databaseUrl }, use) => {
    const db = connect(withLogin(databaseUrl, inject('postgres').logins.functions), { name: 'functions' })
    await use(db)
    await db.destroy()
  },
  audit: async ({ databaseUrl }, use) => {
    const db = connect(withLogin(databaseUrl, inject('postgres').logins.audit), { name: 'audit' })
    await use(db)
    await db.destroy()
  },
})

const write = (db: Db) =>
  transaction(db, (tx) => emit(tx, 'test', { type: 'x', subject: 's', extensions: {}, data: { n: 1.5 }, rows: {} }))

const anyRow = `values (99, gen_random_uuid(), repeat('0', 64), repeat('1', 64), '{}')`
const columns = '(seq, outbox_id, previous, hash, entry)'

/** Every way to change what was written, or to get rid of what keeps it. */
const attacks: readonly string[] = [
  `update ledger set entry = '{}'`,
  'delete from ledger',
  'truncate ledger',
  `insert into ledger ${columns} ${anyRow}`,
  `insert into ledger ${columns} ${anyRow} on conflict (seq) do update set entry = '{}'`,
  `insert into ledger ${columns} ${anyRow} on conflict do nothing`,
  `merge into ledger using (select 1 as seq) as given on ledger.seq = given.seq when matched then delete`,
  `copy ledger from program 'echo'`,
  `copy ledger from stdin`,
  'select * from ledger for update',
  'lock table ledger in exclusive mode',
  'alter table ledger disable trigger all',
  'alter table ledger add column more text',
  'alter table ledger owner to current_user',
  'drop table ledger',
  'drop trigger ledger_is_history on ledger',
  'create rule nothing as on insert to ledger do instead nothing',
  'create trigger mine before insert on ledger execute function ledger_is_history()',
  'create index mine on ledger (entry)',
  'create view public.mine as select 1',
  `set session_replication_role = 'replica'`,
  'set role postgres',
  'set session authorization postgres',
  `create or replace function ledger_append(bigint, uuid[], text[], text[]) returns jsonb language sql as 'select null::jsonb'`,
  'drop function ledger_append(bigint, uuid[], text[], text[])',
  'create role mine superuser',
  'alter role current_user superuser',
]

describe('U1 the ledger', () => {
  test('is not written by a function, in no way there is', async ({ db, functions }) => {
    await write(db)
    await sweep(create({ db, log: quiet }))
    const before = await db.selectFrom('ledger').selectAll().execute()
    for (const attack of [...attacks, `select ledger_append(0, '{}', '{}', '{}')`]) {
      const outcome = await outcomeOf(functions, attack)
      expect([attack, outcome]).toEqual([attack, 'denied'])
    }
    expect(await functions.selectFrom('ledger').selectAll().execute()).toEqual(before)
    expect(await db.selectFrom('ledger').selectAll().execute()).toEqual(before)
  })

  test('is not written by the sink either, which sees nothing but its one function', async ({ db, audit }) => {
    await write(db)
    await sweep(create({ db: audit, log: quiet }))
    for (const attack of [...attacks, 'select * from ledger', 'select * from outbox', 'select * from deliveries']) {
      const outcome = await outcomeOf(audit, attack)
      expect([attack, outcome]).toEqual([attack, 'denied'])
    }
    const { rows } = await sql<{ what: string }>`
      select relname::text as what from pg_class, unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger']) as may
      where relnamespace = 'public'::regnamespace and relkind in ('r', 'v', 'p') and has_table_privilege(oid, may)
      union select relname from pg_class where relnamespace = 'public'::regnamespace and case when relkind = 'S' then has_sequence_privilege(oid, 'usage') end
      union select proname from pg_proc where pronamespace = 'public'::regnamespace and prosecdef and has_function_privilege(oid, 'execute')`.execute(
      audit,
    )
    expect(rows).toEqual([{ what: 'ledger_append' }])
    expect(await db.selectFrom('ledger').select('seq').execute()).toHaveLength(1)
  })

  test('is not edited by its owner by mistake', async ({ db }) => {
    await write(db)
    await sweep(create({ db, log: quiet }))
    for (const mistake of [`update ledger set entry = '{}'`, 'delete from ledger', 'truncate ledger'])
      await expect(sql.raw(mistake).execute(db)).rejects.toThrow('only ever appended to')
  })

  test('what was accepted or said is not changed by a function before it is in the ledger', async ({ functions }) => {
    await write(functions)
    for (const attack of [
      `update outbox set record = '{}'`,
      `update outbox set seq = default`,
      'delete from outbox',
      'delete from deliveries',
      'delete from inbox',
      'truncate outbox, deliveries',
      `update migrations set digest = ''`,
      `select setval('fences', 1)`,
    ]) {
      const outcome = await outcomeOf(functions, attack)
      expect([attack, outcome]).toEqual([attack, 'denied'])
    }
    const settle = functions.updateTable('deliveries').set({ state: 'done', settled_at: new Date() }).execute()
    await expect(settle).rejects.toThrow('is not in the ledger')
  })
})

describe('the door to the ledger', () => {
  const made = async (db: Db, audit: Db): Promise<{ pending: Pending; links: Link[] }> => {
    for (let n = 0; n < 3; n += 1) await write(db)
    const pending = await store(audit).append(0, [])
    return { pending, links: chain(pending.head, pending.records) }
  }

  const forgeries: readonly (readonly [string, (links: Link[], pending: Pending) => readonly Link[]])[] = [
    ['an event that there is none of', (links) => [{ ...links[0]!, outboxId: crypto.randomUUID() }]],
    ['another hash', (links) => [{ ...links[0]!, hash: 'f'.repeat(64) }]],
    [
      'another record, well hashed',
      (_, { head, records }) => chain(head, [{ ...records[0]!, record: { type: 'invented' } }]),
    ],
    ['another time', (_, { head, records }) => chain(head, [{ ...records[0]!, at: '2020-01-01T00:00:00.000Z' }])],
    ["another event's record", (_, { head, records }) => chain(head, [{ ...records[0]!, record: records[1]!.record }])],
    ['one twice', (_, { head, records }) => chain(head, [records[0]!, records[0]!])],
    ['another order', (_, { head, records }) => chain(head, records.toReversed())],
    ['a gap within', (links) => [links[0]!, links[2]!]],
    ['a chain from elsewhere', (_, { records }) => chain({ seq: 0, hash: 'a'.repeat(64) }, records)],
    ['a sequence number ahead', (_, { head, records }) => chain({ ...head, seq: 5 }, records)],
    ['no JSON', (links) => [{ ...links[0]!, entry: 'x' }]],
  ]

  test.for(forgeries)('takes no entry with %s', async ([, forge], { db, audit }) => {
    const { pending, links } = await made(db, audit)
    await expect(store(audit).append(0, forge(links, pending))).rejects.toThrow(
      /does not continue|invalid input syntax/,
    )
    expect(await db.selectFrom('ledger').select('seq').execute()).toEqual([])
    expect((await store(audit).append(0, links)).head.seq).toBe(3)
  })

  test('takes nothing that does not follow the head, and says what would', async ({ db, audit }) => {
    const { links } = await made(db, audit)
    expect(await store(audit).append(0, links)).toMatchObject({ head: { seq: 3 }, records: [] })
    const id = await write(db)
    for (const after of [0, 2, 4, -1])
      expect(await store(audit).append(after, links)).toMatchObject({
        head: { seq: 3, hash: links[2]!.hash },
        records: [{ outboxId: id }],
      })
    expect(await db.selectFrom('ledger').select('seq').execute()).toHaveLength(3)
    await expect(store(audit).append(3, links)).rejects.toThrow('does not continue the ledger')
  })

  test('looks for its tables where they are, whatever the caller puts in the way', async ({ db, audit }) => {
    const { links } = await made(db, audit)
    await audit.connection().execute(async (connection) => {
      await sql`create temporary table ledger (like pg_catalog.pg_class)`.execute(connection)
      await sql`create temporary table outbox (id uuid)`.execute(connection)
      await sql`set search_path = pg_temp, public`.execute(connection)
      expect((await store(connection as Db).append(0, links)).head.seq).toBe(3)
    })
  })
})

/** Denied is SQLSTATE 42501 and nothing else. */
async function outcomeOf(db: Db, attack: string): Promise<string> {
  try {
    await db.transaction().execute((tx) => sql.raw(attack).execute(tx))
    return 'done'
  } catch (error) {
    const { code, message } = error as Error & { code?: string }
    return code === '42501' ? 'denied' : `${code} ${message}`
  }
}
