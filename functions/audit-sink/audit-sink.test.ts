import fc from 'fast-check'
import { describe, expect } from 'vitest'
import { connect, type Db } from '#shared/db/connect.ts'
import { transaction } from '#shared/db/transaction.ts'
import { canonicalJson } from '#shared/digest.ts'
import { post, quiet, sweep } from '#shared/edge/testing/post.ts'
import { emit } from '#shared/outbox/write.ts'
import { create } from './app.ts'
import { GENESIS, link } from '#shared/ledger/link.ts'
import { entryText } from './chain.ts'
import { test } from './testing/test.ts'

const sink = (db: Db) => create({ db, log: quiet })

/** An event that only the ledger hears of. */
const write = (db: Db, data: Record<string, unknown> = {}) =>
  transaction(db, (tx) => emit(tx, 'test', { type: 'test.happened', subject: 's', extensions: {}, data, rows: {} }))

const ledger = (db: Db) => db.selectFrom('ledger').selectAll().orderBy('seq').execute()

/** What somebody who trusts nobody does: the chain by its own words. */
function verify(rows: Awaited<ReturnType<typeof ledger>>): number | undefined {
  let previous = GENESIS
  for (const [index, row] of rows.entries()) {
    const entry = JSON.parse(row.entry) as { seq: number; outboxId: string }
    const fits =
      row.seq === index + 1 && entry.seq === row.seq && entry.outboxId === row.outbox_id && row.previous === previous
    if (!fits || row.hash !== link(previous, row.seq, row.entry)) return index + 1
    previous = row.hash
  }
  return undefined
}

describe('the chain', () => {
  test('an event is one entry with its whole record; knocking again adds nothing', async ({ db }) => {
    const app = sink(db)
    const id = await write(db, { a: 1, text: 'ä \u{1f600} \u2028' })
    expect(await post(app, db, 'audit-sink', id)).toMatchObject({ status: 202, text: '', state: 'done' })
    expect(await post(app, db, 'audit-sink', id)).toMatchObject({ status: 202 })
    const rows = await ledger(db)
    const { record, created_at: at } = await db.selectFrom('outbox').selectAll().executeTakeFirstOrThrow()
    expect(rows).toMatchObject([
      {
        seq: 1,
        previous: GENESIS,
        outbox_id: id,
        entry: entryText({ seq: 1, outboxId: id, at: at.toISOString(), record }),
      },
    ])
    expect(verify(rows)).toBeUndefined()
    expect(rows[0]?.entry).toBe(canonicalJson(JSON.parse(rows[0]?.entry ?? '')))
  })

  test('one knock takes along what is pending before and behind it, in the order of the outbox', async ({ db }) => {
    const ids = []
    for (let index = 0; index < 5; index += 1) ids.push(await write(db))
    await post(sink(db), db, 'audit-sink', ids[4] ?? '')
    const rows = await ledger(db)
    expect(rows.map(({ outbox_id }) => outbox_id)).toEqual(ids)
    expect(await db.selectFrom('deliveries').select('state').distinct().execute()).toEqual([{ state: 'done' }])
  })

  test('F31 a record that commits late is appended behind, not passed over', async ({ db, databaseUrl }) => {
    const app = sink(db)
    const other = connect(databaseUrl, { name: 'slow' })
    const { promise: hold, resolve: commit } = Promise.withResolvers<void>()
    const { promise: written, resolve: wrote } = Promise.withResolvers<void>()
    const slow = transaction(other, async (tx) => {
      const id = await emit(tx, 'test', { type: 'test.happened', subject: 'slow', extensions: {}, data: {}, rows: {} })
      wrote()
      await hold
      return id
    })
    await written
    const fast = await write(db)
    await post(app, db, 'audit-sink', fast)
    commit()
    const late = await slow
    await other.destroy()
    await sweep(app)
    const rows = await ledger(db)
    expect(rows.map(({ outbox_id }) => outbox_id)).toEqual([fast, late])
    expect(verify(rows)).toBeUndefined()
  })

  test('U3 sixteen writers at once, over two replicas, make one chain without a gap', async ({ db, databaseUrl }) => {
    const other = connect(databaseUrl, { name: 'replica' })
    const apps = [sink(db), sink(other)]
    await Promise.all(
      Array.from({ length: 16 }, async (_, writer) => {
        for (let index = 0; index < 8; index += 1) {
          const id = await write(db, { writer, index })
          expect(await post(apps[(writer + index) % 2] as (typeof apps)[0], db, 'audit-sink', id)).toMatchObject({
            status: 202,
            state: 'done',
          })
        }
      }),
    )
    await other.destroy()
    const rows = await ledger(db)
    expect(rows).toHaveLength(128)
    expect(verify(rows)).toBeUndefined()
  })

  test('U2 any change to any row, a swap and a hole are found where they begin', async ({ db }) => {
    const ids = []
    for (let index = 0; index < 6; index += 1) ids.push(await write(db, { index }))
    await post(sink(db), db, 'audit-sink', ids[5] ?? '')
    const rows = await ledger(db)
    const changed = (at: number, change: object) =>
      rows.map((row, index) => (index === at ? { ...row, ...change } : row))
    rows.forEach((row, at) => {
      expect(verify(changed(at, { entry: row.entry.replace('"index":', '"index":9') }))).toBe(at + 1)
      expect(verify(changed(at, { hash: GENESIS }))).toBe(at + 1)
      expect(verify(changed(at, { previous: 'f'.repeat(64) }))).toBe(at + 1)
      expect(verify(changed(at, { outbox_id: 'other' }))).toBe(at + 1)
      if (at < rows.length - 1) expect(verify(rows.toSpliced(at, 1))).toBe(at + 1)
    })
    expect(verify([...rows.slice(0, 2), ...rows.slice(2, 4).toReversed(), ...rows.slice(4)])).toBe(3)
  })

  test('what is quarantined is appended all the same, and what is pending again is not appended again', async ({
    db,
  }) => {
    const app = sink(db)
    const id = await write(db)
    await db.updateTable('deliveries').set({ state: 'quarantined', settled_at: new Date() }).execute()
    await sweep(app)
    expect(await ledger(db)).toMatchObject([{ outbox_id: id }])
    await db.updateTable('deliveries').set({ state: 'pending', settled_at: null }).execute()
    const next = await write(db)
    await sweep(app)
    expect((await ledger(db)).map(({ outbox_id }) => outbox_id)).toEqual([id, next])
    expect(await db.selectFrom('deliveries').select('state').distinct().execute()).toEqual([{ state: 'done' }])
  })

  test('nobody makes a record pass for one that is in the ledger', async ({ db }) => {
    await write(db)
    const settle = db.updateTable('deliveries').set({ state: 'done', settled_at: new Date() }).execute()
    await expect(settle).rejects.toThrow('is not in the ledger')
  })

  test('an event that nobody wrote wakes the ledger and changes nothing; what is no event is 422', async ({ db }) => {
    const app = sink(db)
    const id = await write(db)
    const knock = (headers: Record<string, string>) =>
      app.fetch(new Request('http://function/', { method: 'POST', headers }))
    const event = { 'ce-specversion': '1.0', 'ce-id': 'made-up', 'ce-source': '/nowhere', 'ce-type': 'x' }
    expect((await knock(event)).status).toBe(202)
    expect(await ledger(db)).toMatchObject([{ outbox_id: id }])
    expect((await knock({ ...event, 'ce-type': '' })).status).toBe(422)
    expect((await knock({})).status).toBe(422)
  })

  test('without a database the answer is to come again', async () => {
    const away = connect('postgres://nobody:x@127.0.0.1:9/none', { name: 'away' })
    const response = await sweep(sink(away))
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '5'])
    await away.destroy()
  })
})

describe('the hash of an entry', () => {
  test('U4 no two entries, and no two splittings of the same text, hash alike', () => {
    const field = fc.string({ unit: fc.constantFrom('a', '0', '1', '"', '\0', 'ä', 'a\u0308', '{', ',') })
    const one = fc.tuple(field, fc.nat(20), field)
    fc.assert(
      fc.property(one, one, (left, right) => {
        const same = left.every((value, index) => value === right[index])
        expect(link(...left) === link(...right)).toBe(same)
      }),
      { numRuns: 1_000 },
    )
    expect(link('ab', 1, 'c')).not.toBe(link('a', 1, 'bc'))
    expect(link('a', 11, '')).not.toBe(link('a', 1, '1'))
    expect(link('ä', 1, '')).not.toBe(link('a\u0308', 1, ''))
  })
})
