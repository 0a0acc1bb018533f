import { CompiledQuery, sql } from 'kysely'
import { describe, expect } from 'vitest'
import type { Db } from '#shared/db/connect.ts'
import type { Projection } from '#shared/db/projections.ts'
import { transaction } from '#shared/db/transaction.ts'
import { quiet, sweep } from '#shared/edge/testing/post.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import { emit, type ChangedRows } from '#shared/outbox/write.ts'
import { addAttempt, addProject, addRun } from '#shared/run/testing/rows.ts'
import { create } from './app.ts'
import { diff, rebuild } from './rebuild.ts'
import { test } from './testing/test.ts'

const say = (db: Db, rows: ChangedRows) =>
  transaction(db, (tx) =>
    emit(tx, 'test', { type: EVENT_TYPES.runStarted, subject: 's', extensions: {}, data: {}, rows }),
  )

/** Everything into the ledger, the ledger into a schema of its own, and how that differs from what is there. */
async function rebuilt(db: Db) {
  await sweep(create({ db, log: quiet }))
  return db.connection().execute(async (connection) => {
    const database = {
      query: (text: string, values: readonly unknown[] = []) =>
        connection.executeQuery<Record<string, unknown>>(CompiledQuery.raw(text, [...values])),
    }
    const head = await rebuild(database, 'rebuilt')
    return { head, differences: await diff(database, 'rebuilt') }
  })
}

/** A project with a run and an attempt, all of it said. */
async function recordedRun(db: Db) {
  const run = await addRun(db, await addProject(db, { settings: { max: 1.5, 'a"b': ['ä', null] } }))
  const attempt = await addAttempt(db, run.id, { last_seen_at: new Date() })
  const [projects, subjects, changes, bundles] = await Promise.all([
    db.selectFrom('projects').selectAll().execute(),
    db.selectFrom('subjects').selectAll().execute(),
    db.selectFrom('changes').selectAll().execute(),
    db.selectFrom('bundles').selectAll().execute(),
  ])
  await say(db, { projects, subjects, changes, bundles, runs: [run], attempts: [attempt] })
  return run
}

describe('a rebuild', () => {
  test('F24 has every row as it is now, whatever it was before', async ({ db }) => {
    const run = await recordedRun(db)
    for (const state of ['running', 'publishing', 'succeeded'] as const) {
      const runs = await db.updateTable('runs').set({ state }).where('id', '=', run.id).returningAll().execute()
      await say(db, { runs })
    }
    // Within one event the later one counts, too.
    const link = { from_kind: 'run', from_id: run.id, relation: 'x', to_kind: 'change', to_id: '1' }
    const links = await db.insertInto('links').values(link).returningAll().execute()
    const [now] = await db.updateTable('runs').set({ detail: 'Ω \u{1f600}' }).returningAll().execute()
    await say(db, { links, runs: [run, now!] })
    expect(await rebuilt(db)).toMatchObject({ head: { seq: 5 }, differences: [] })
    const { rows } = await sql<{ state: string }>`select state from rebuilt.runs`.execute(db)
    expect(rows).toEqual([{ state: 'succeeded' }])
  })

  test('shows what was changed, written or taken away without a record', async ({ db }) => {
    const run = await recordedRun(db)
    await db.updateTable('runs').set({ detail: 'nobody said so' }).execute()
    await db.deleteFrom('attempts').execute()
    await db
      .insertInto('links')
      .values({ from_kind: 'a', from_id: 'b', relation: 'c', to_kind: 'd', to_id: 'e' })
      .execute()
    const { differences } = await rebuilt(db)
    expect(differences).toMatchObject([
      { table: 'runs', live: { id: run.id, detail: 'nobody said so' }, rebuilt: { id: run.id, detail: null } },
      { table: 'attempts', live: null, rebuilt: { run_id: run.id } },
      { table: 'links', live: { from_id: 'b' }, rebuilt: null },
    ] satisfies { table: Projection; live: object | null; rebuilt: object | null }[])
  })

  test('leaves out heartbeats and leases', async ({ db }) => {
    await recordedRun(db)
    await db
      .updateTable('attempts')
      .set({ last_seen_at: new Date(0), progressed_at: new Date() })
      .execute()
    expect((await rebuilt(db)).differences).toEqual([])
  })

  test('takes in more than one batch, in the order of the ledger', async ({ db }) => {
    const run = await recordedRun(db)
    await sql`insert into outbox (source, event_id, type, subject, producer, event, record)
      select source, 'copy-' || n, type, subject, producer, event, jsonb_set(record, '{rows}',
        jsonb_build_object('runs', jsonb_build_array(record #> '{rows,runs,0}' || jsonb_build_object('detail', n::text))))
      from outbox, generate_series(1, 2500) n order by n`.execute(db)
    await sql`insert into deliveries (outbox_id, consumer, due_at) select id, 'audit-sink', now() from outbox
      on conflict do nothing`.execute(db)
    await db.updateTable('runs').set({ detail: '2500' }).where('id', '=', run.id).execute()
    expect(await rebuilt(db)).toMatchObject({ head: { seq: 2_501 }, differences: [] })
  })

  test('gives a row from before a column was added the default of the column', async ({ db }) => {
    await recordedRun(db)
    await sql`alter table runs add column note text not null default 'none', add column at timestamptz(3)`.execute(db)
    expect((await rebuilt(db)).differences).toEqual([])
  })

  test('stops at a table that it does not know, and writes only into a schema of its own', async ({ db }) => {
    await say(db, { tomorrow: [{ id: 1 }] } as unknown as ChangedRows)
    await expect(rebuilt(db)).rejects.toThrow('the ledger has rows of tomorrow, which this version does not know')
    await expect(rebuilt(db)).rejects.toThrow('schema "rebuilt" already exists')
  })
})
