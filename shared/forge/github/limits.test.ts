import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RetryLater } from '#shared/errors.ts'
import { RATES, type Pace } from '#shared/pace.ts'
import { paced } from './limits.ts'
import type { Group } from './limits.ts'
import { localPace } from './meter.ts'
import { forgeThatBans, type Step } from './testing/banning-forge.ts'
import { scripted } from './testing/scripted.ts'

const HOUR = 3_600_000

/** What any number of processes want of one account, with the forge's moods and the network's delays. */
const wish = fc.record({
  gap: fc.integer({ min: 0, max: 100 }),
  points: fc.constantFrom(1, 5),
  content: fc.constantFrom(0, 0, 1, 1),
  thereMs: fc.nat(5_000),
  backMs: fc.nat(5_000),
  mood: fc.oneof(
    { weight: 200, arbitrary: fc.constant('answers' as const) },
    { weight: 1, arbitrary: fc.constantFrom('limits' as const, 'limits without a time' as const) },
  ),
})
/** Stretches of a rush, of steady work and of an occasional request. */
const schedules = fc
  .array(
    fc.record({
      gapMs: fc.constantFrom(2, 100, 1_500, 4_000, HOUR / 2),
      wishes: fc.array(wish, { minLength: 20, maxLength: 250, size: 'max' }),
    }),
    { minLength: 3, maxLength: 6 },
  )
  .map((stretches) =>
    stretches.flatMap(({ gapMs, wishes }) => wishes.map((one): Step => ({ ...one, gapMs: (one.gap / 100) * gapMs }))),
  )

async function withoutViolation(numRuns: number): Promise<{ hours: number; sent: number }> {
  let hours = 0
  let sent = 0
  const property = fc.asyncProperty(schedules, async (schedule) => {
    const forge = await forgeThatBans(schedule, (now) => localPace(RATES, now))
    hours += forge.hours
    sent += forge.sent
    return forge.violations.length === 0
  })
  await fc.assert(property, { numRuns })
  return { hours, sent }
}

describe('F14 over virtual hours', () => {
  test('no schedule of any number of processes gets them banned in ten thousand hours', async () => {
    const { hours, sent } = await withoutViolation(450)
    expect(hours).toBeGreaterThan(10_000)
    expect(sent).toBeGreaterThan(100_000)
  })

  // The forge that counts has to notice: each rate alone is what keeps its limit.
  const steady = (count: number, step: Partial<Step>) =>
    Array.from({ length: count }, (): Step => ({
      gapMs: 10,
      points: 1,
      content: 0,
      thereMs: 100,
      backMs: 100,
      mood: 'answers',
      ...step,
    }))
  test.for([
    ['points', steady(300, { points: 5 })],
    ['minute', steady(180, { content: 1, gapMs: 330 })],
    ['hour', steady(600, { content: 1, gapMs: 4_000 })],
  ] as const)('without the rate of %s they are banned', async ([name, schedule]) => {
    const without = { ...RATES, [name]: { burst: 1e9, everyMs: 1 } }
    expect((await forgeThatBans(schedule, (now) => localPace(without, now))).violations).not.toEqual([])
    expect((await forgeThatBans(schedule, (now) => localPace(RATES, now))).violations).toEqual([])
  })

  test('without silence they are banned', async () => {
    const [first, ...rest] = steady(50, { gapMs: 7_000 })
    const schedule = first ? [{ ...first, mood: 'limits without a time' as const }, ...rest] : []
    const deaf = (now: () => number): Pace => ({ ...localPace(RATES, now), silence: () => Promise.resolve(60) })
    expect((await forgeThatBans(schedule, deaf)).violations).not.toEqual([])
    expect((await forgeThatBans(schedule, (now) => localPace(RATES, now))).violations).toEqual([])
  })
})

test('what is free goes at once, what is not waits no longer than it must', async () => {
  let now = 0
  const slow = { burst: 3, everyMs: 1_000 }
  const pace = localPace({ ...RATES, minute: slow }, () => now)
  const spend = () => pace.spend('a', { points: 0, content: 1 }, 10_000)
  expect([await spend(), await spend(), await spend(), await spend(), await spend()]).toEqual([0, 0, 0, 1_000, 2_000])
  now = 10_000
  expect(await spend()).toBe(0)
})

test('a wait that is too long spends nothing', async () => {
  const pace = localPace({ ...RATES, minute: { burst: 1, everyMs: 60_000 } }, () => 0)
  const spend = () => pace.spend('a', { points: 0, content: 1 }, 10_000)
  expect([await spend(), await spend(), await spend()]).toEqual([0, 60_000, 60_000])
})

test('F14 silence for which no time was named is a minute, then twice as long, up to an hour', async () => {
  let now = 0
  const pace = localPace(RATES, () => now)
  const lengths = []
  for (let time = 0; time < 8; time++) {
    const seconds = await pace.silence('a', undefined)
    // Answers to requests that were under way say the same once more.
    expect(await pace.silence('a', undefined)).toBe(seconds)
    lengths.push(seconds)
    now += seconds * 1_000 + 5
  }
  expect(lengths).toEqual([60, 120, 240, 480, 960, 1_920, 3_600, 3_600])
  now += HOUR + 5
  expect(await pace.silence('a', undefined)).toBe(60)
  expect(await pace.silence('a', 900)).toBe(900)
  expect(await pace.silence('a', 10)).toBe(900)
})

test('a comment beyond what the hour may hold is not sent', async () => {
  const pace = localPace({ ...RATES, hour: { burst: 40, everyMs: 60_000 } })
  const { octokit, seen } = await scripted(() => ({ status: 201, body: { id: 1 } }), undefined, pace)
  for (let count = 0; count < 25; count++) await pace.spend('machine-user', { points: 0, content: 1 }, 60_000)
  const path = 'POST /repos/{owner}/{repo}/issues/{issue_number}/comments'
  const results = await Promise.allSettled(
    Array.from({ length: 30 }, () =>
      octokit.request(path, { owner: 'acme', repo: 'shop', issue_number: 1, body: 'x' }),
    ),
  )
  expect(seen).toEqual([])
  expect(results.every((result) => result.status === 'rejected' && result.reason instanceof RetryLater)).toBe(true)
  expect(await pace.spend('machine-user', { points: 1, content: 0 }, 0)).toBe(0)
})

test('silence is kept per account', async () => {
  const pace = localPace()
  await pace.silence('one', 100)
  const { global } = paced(pace) as unknown as Record<'global', Group>
  const sent = (request: { method: string }) => Promise.resolve(request.method)
  const ask = (id: string) => global.key(id).schedule({}, sent, { method: 'GET' })
  await expect(ask('one')).rejects.toBeInstanceOf(RetryLater)
  expect(await ask('two')).toBe('GET')
})

test('silence that begins while a request waits its turn holds it back', async () => {
  const pace = localPace({ ...RATES, points: { burst: 1, everyMs: 300 } })
  const { global } = paced(pace) as unknown as Record<'global', Group>
  const sent: number[] = []
  const ask = (id: number) =>
    global.key('one').schedule({}, (request: { id: number }) => Promise.resolve(void sent.push(request.id)), {
      method: 'GET',
      id,
    } as { id: number })
  await ask(1)
  const waiting = ask(2)
  await pace.silence('one', 100)
  await expect(waiting).rejects.toBeInstanceOf(RetryLater)
  expect(sent).toEqual([1])
})
