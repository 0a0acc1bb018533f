import { sql } from 'kysely'
import { describe, expect, onTestFinished } from 'vitest'
import { test } from '../../test/support/database.ts'
import { connect, type Db } from '#shared/db/connect.ts'
import { sharedPace } from '#shared/db/pace.ts'
import { RATES } from '#shared/pace.ts'

const COMMENT = { points: 0, content: 1 }

/** Pools of their own, as processes have them. */
function processes(url: string, count: number): Db[] {
  const dbs = Array.from({ length: count }, (_, index) => connect(url, { name: `process ${index}`, max: 3 }))
  onTestFinished(async () => void (await Promise.all(dbs.map((db) => db.destroy()))))
  return dbs
}

/** As if so much time had passed. */
async function pass(db: Db, ms: number): Promise<void> {
  const back = (column: string) => sql`${sql.ref(column)} = ${sql.ref(column)} - ${ms} * interval '1 ms'`
  const columns = ['points_until', 'minute_until', 'hour_until', 'silent_until'].map(back)
  await sql`update forge_pace set ${sql.join(columns)}`.execute(db)
}

describe('F14 the pace of all processes together', () => {
  test('however many ask at once, they get what one would get', async ({ databaseUrl, db }) => {
    const paces = processes(databaseUrl, 4).map((each) => sharedPace(each, 'https://forge', RATES))
    const started = performance.now()
    const waits = await Promise.all(
      Array.from({ length: 60 }, (_, index) => paces[index % 4]?.spend('app', COMMENT, 10_000) ?? Promise.reject()),
    )
    const passed = performance.now() - started
    const granted = waits.filter((wait) => wait <= 10_000).toSorted((a, b) => a - b)
    // Fifteen at once, then one a second for the ten seconds that somebody waits; more only for the time this took.
    // Statements that began at different times are granted in any order: a few milliseconds either way.
    expect(granted.filter((wait) => wait < 900).length).toBeGreaterThanOrEqual(15)
    expect(granted.length).toBeGreaterThanOrEqual(24)
    expect(granted.length).toBeLessThanOrEqual(25 + Math.ceil(passed / 1_000))
    const [row] = await db.selectFrom('forge_pace').selectAll().execute()
    const reserved = (row?.minute_until.getTime() ?? 0) - Date.now()
    expect(reserved).toBeLessThanOrEqual(25_000)
    expect(reserved).toBeGreaterThan(25_000 - passed - 1_000)
  })

  test('over two hours no window holds more than the forge allows', async ({ databaseUrl, db }) => {
    const paces = processes(databaseUrl, 2).map((each) => sharedPace(each, 'https://forge', RATES))
    const times: number[] = []
    let shifted = 0
    for (let step = 0; shifted < 7_200_000; step++) {
      const waits = await Promise.all(paces.map((pace) => pace.spend('app', COMMENT, 10_000)))
      times.push(...waits.filter((wait) => wait <= 10_000).map((wait) => performance.now() + shifted + wait))
      const gap = step % 3 === 0 ? 100 : 20_000
      await pass(db, gap)
      shifted += gap
    }
    const most = (ms: number) =>
      Math.max(...times.map((at) => times.filter((one) => one > at - ms && one <= at).length))
    expect(most(60_000)).toBeLessThanOrEqual(80)
    expect(most(3_600_000)).toBeLessThanOrEqual(500)
    expect(times.length).toBeGreaterThan(800)
  })

  test('a wait that is too long spends nothing, and content does not hold up reads', async ({ db }) => {
    const pace = sharedPace(db, 'https://forge', RATES)
    for (let count = 0; count < 25; count++) await pace.spend('app', COMMENT, 10_000)
    const waits = [await pace.spend('app', COMMENT, 9_000), await pace.spend('app', COMMENT, 9_000)]
    expect(waits.every((wait) => wait > 9_000 && wait <= 11_000)).toBe(true)
    expect(await pace.spend('app', { points: 1, content: 0 }, 10_000)).toBe(0)
    expect(await pace.spend('another', COMMENT, 10_000)).toBe(0)
    expect(await sharedPace(db, 'https://another', RATES).spend('app', COMMENT, 10_000)).toBe(0)
  })

  test('silence that one process was asked for is kept by all, and what waits for its end is spaced', async ({
    databaseUrl,
    db,
  }) => {
    const [one, two] = processes(databaseUrl, 2).map((each) => sharedPace(each, 'https://forge', RATES))
    await one?.spend('app', { points: 1, content: 0 }, 10_000)
    expect(await one?.silence('app', 120)).toBeCloseTo(120, 0)
    const wait = (await two?.spend('app', { points: 1, content: 0 }, 10_000)) ?? 0
    expect(wait).toBeGreaterThan(119_000)
    expect(wait).toBeLessThanOrEqual(120_000)
    await pass(db, 115_000)
    const comments = Array.from({ length: 20 }, () => two?.spend('app', COMMENT, 10_000) ?? Promise.reject())
    const waits = (await Promise.all(comments)).toSorted((a, b) => a - b)
    expect(Math.min(...waits)).toBeGreaterThan(3_000)
    expect((waits[19] ?? 0) - (waits[14] ?? 0)).toBeGreaterThan(4_000)
  })

  test('silence for which no time was named is a minute, then twice as long, up to an hour', async ({ db }) => {
    const pace = sharedPace(db, 'https://forge', RATES)
    const lengths: number[] = []
    for (let time = 0; time < 8; time++) {
      const seconds = Math.round(await pace.silence('app', undefined))
      expect(Math.round(await pace.silence('app', undefined))).toBe(seconds)
      lengths.push(seconds)
      await pass(db, seconds * 1_000 + 10)
    }
    expect(lengths).toEqual([60, 120, 240, 480, 960, 1_920, 3_600, 3_600])
    await pass(db, 3_700_000)
    expect(Math.round(await pace.silence('app', undefined))).toBe(60)
  })
})
