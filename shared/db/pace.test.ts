import { sql } from 'kysely'
import { describe, expect, onTestFinished } from 'vitest'
import { test } from '../../test/support/database.ts'
import { connect, type Db } from '#shared/db/connect.ts'
import { sharedPace } from '#shared/db/pace.ts'
import { RATES, type Pace } from '#shared/pace.ts'

const COMMENT = { points: 0, content: 1 }

/** Pools of their own, as processes have them; of one connection that is there, so that nobody waits for one. */
async function processes(url: string, count: number): Promise<Db[]> {
  const dbs = Array.from({ length: count }, (_, index) => connect(url, { name: `process ${index}`, max: 1 }))
  onTestFinished(async () => void (await Promise.all(dbs.map((db) => db.destroy()))))
  for (const db of dbs) await sql`select`.execute(db)
  return dbs
}

/** In a transaction the database's clock stands still, however long this takes on a busy machine. */
const atOneTime = <T>(db: Db, work: (db: Db) => Promise<T>) => db.transaction().execute(work)

/** As if so much time had passed. */
async function pass(db: Db, ms: number): Promise<void> {
  const back = (column: string) => sql`${sql.ref(column)} = ${sql.ref(column)} - ${ms} * interval '1 ms'`
  const columns = ['points_until', 'minute_until', 'hour_until', 'silent_until'].map(back)
  await sql`update forge_pace set ${sql.join(columns)}`.execute(db)
}

describe('F14 the pace of all processes together', () => {
  test('however many ask at once, they get what one would get', async ({ databaseUrl, db }) => {
    const paces = (await processes(databaseUrl, 12)).map((each) => sharedPace(each, 'https://forge', RATES))
    const started = performance.now()
    const five = async (pace: Pace) => {
      const waits: number[] = []
      for (let count = 0; count < 5; count += 1) waits.push(await pace.spend('app', COMMENT, 10_000))
      return waits
    }
    const waits = (await Promise.all(paces.map(five))).flat()
    const passed = performance.now() - started
    const granted = waits.filter((wait) => wait <= 10_000)
    // Fifteen at once, then one a second for the ten seconds that somebody waits. A statement waits from when it began, and
    // those that began at different times are granted in any order: all is held to within the time that this took.
    expect(granted.filter((wait) => wait < 900 + passed).length).toBeGreaterThanOrEqual(15)
    expect(granted.length).toBeGreaterThanOrEqual(25 - Math.ceil(passed / 1_000))
    expect(granted.length).toBeLessThanOrEqual(25 + Math.ceil(passed / 1_000))
    const { rows } = await sql<{ reserved: number }>`
      select extract(epoch from minute_until - now())::float8 * 1000 as reserved from forge_pace`.execute(db)
    const since = performance.now() - started
    expect(rows[0]?.reserved).toBeLessThanOrEqual(25_001)
    expect(rows[0]?.reserved).toBeGreaterThan(granted.length * 1_000 - since - 1)
  })

  test('over two hours no window holds more than the forge allows', async ({ databaseUrl, db }) => {
    const paces = (await processes(databaseUrl, 2)).map((each) => sharedPace(each, 'https://forge', RATES))
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
    await atOneTime(db, async (still) => {
      const pace = sharedPace(still, 'https://forge', RATES)
      // Half a second more than the longest wait: the row has milliseconds, the clock has more.
      for (let count = 0; count < 25; count++) await pace.spend('app', COMMENT, 10_500)
      const waits = [await pace.spend('app', COMMENT, 9_000), await pace.spend('app', COMMENT, 9_000)]
      expect(waits.map(Math.round)).toEqual([11_000, 11_000])
      expect(await pace.spend('app', { points: 1, content: 0 }, 10_000)).toBe(0)
      expect(await pace.spend('another', COMMENT, 10_000)).toBe(0)
      expect(await sharedPace(still, 'https://another', RATES).spend('app', COMMENT, 10_000)).toBe(0)
    })
  })

  test('silence that one process was asked for is kept by all, and what waits for its end is spaced', async ({
    databaseUrl,
    db,
  }) => {
    const [one = db, two = db] = await processes(databaseUrl, 2)
    const first = sharedPace(one, 'https://forge', RATES)
    await first.spend('app', { points: 1, content: 0 }, 10_000)
    const began = performance.now()
    expect(await first.silence('app', 120)).toBeCloseTo(120, 2)
    const wait = await sharedPace(two, 'https://forge', RATES).spend('app', { points: 1, content: 0 }, 10_000)
    expect(wait).toBeGreaterThan(120_000 - (performance.now() - began) - 1)
    expect(wait).toBeLessThanOrEqual(120_001)
    await pass(db, 115_000)
    // Long enough for all twenty, wherever in the five seconds that are left they begin.
    const waits = await atOneTime(two, async (still) => {
      const pace = sharedPace(still, 'https://forge', RATES)
      const all: number[] = []
      for (let count = 0; count < 20; count += 1) all.push(await pace.spend('app', COMMENT, 10_500))
      return all
    })
    expect(waits[0]).toBeGreaterThan(5_000 - (performance.now() - began) - 1)
    const spaced = waits.map((each) => Math.round(each - (waits[0] ?? 0)))
    expect(spaced).toEqual([...Array<number>(15).fill(0), 1_000, 2_000, 3_000, 4_000, 5_000])
  })

  test('silence for which no time was named is a minute, then twice as long, up to an hour', async ({ db }) => {
    await atOneTime(db, async (still) => {
      const pace = sharedPace(still, 'https://forge', RATES)
      const lengths: number[] = []
      for (let time = 0; time < 8; time++) {
        const seconds = Math.round(await pace.silence('app', undefined))
        expect(Math.round(await pace.silence('app', undefined))).toBe(seconds)
        lengths.push(seconds)
        await pass(still, seconds * 1_000 + 10)
      }
      expect(lengths).toEqual([60, 120, 240, 480, 960, 1_920, 3_600, 3_600])
      await pass(still, 3_700_000)
      expect(Math.round(await pace.silence('app', undefined))).toBe(60)
    })
  })
})
