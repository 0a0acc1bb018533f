import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { RetryLater } from '#shared/errors.ts'
import { createLimits } from './limits.ts'
import type { Group } from './limits.ts'
import { createMeter } from './meter.ts'
import { scripted } from './testing/scripted.ts'

const HOUR = 3_600_000
const content = [
  { count: 80, ms: 60_000 },
  { count: 500, ms: HOUR },
]

/** The most units in any window of this length. */
function mostIn(times: readonly number[], ms: number): number {
  let first = 0
  let most = 0
  times.forEach((time, index) => {
    while ((times[first] ?? time) <= time - ms) first++
    most = Math.max(most, index - first + 1)
  })
  return most
}

test('no schedule breaks a limit, whatever it looks like, over ten thousand hours', () => {
  const gaps = fc.array(fc.oneof(fc.nat(20), fc.nat(5_000), fc.nat(HOUR / 12)), {
    minLength: 300,
    maxLength: 1_500,
    size: 'max',
  })
  let hours = 0
  const property = fc.property(gaps, fc.integer({ min: 1, max: 5 }), (schedule, cost) => {
    const meter = createMeter(content)
    const sent: number[] = []
    let now = 0
    for (const gap of schedule) {
      now += gap
      const wait = meter.spend(cost, now, 10_000)
      if (wait <= 10_000) sent.push(...Array.from({ length: cost }, () => now + wait))
    }
    hours += now / HOUR
    return sent.length > 0 && content.every(({ count, ms }) => mostIn(sent, ms) <= count)
  })
  fc.assert(property, { numRuns: 1_000 })
  expect(hours).toBeGreaterThan(10_000)
})

test('what is free goes at once, what is not waits no longer than it must', () => {
  const meter = createMeter([{ count: 3, ms: 1_000 }])
  expect([0, 0, 0, 0, 500].map((now) => meter.spend(1, now, 10_000))).toEqual([0, 0, 0, 1_000, 500])
  expect(meter.spend(1, 5_000, 10_000)).toBe(0)
})

test('a wait that is too long spends nothing', () => {
  const meter = createMeter([{ count: 1, ms: 60_000 }])
  expect([0, 1, 2].map((now) => meter.spend(1, now, 10_000))).toEqual([0, 59_999, 59_998])
  expect(meter.spend(1, 60_000, 10_000)).toBe(0)
})

test('more than eighty comments a minute are not sent', async () => {
  const { octokit, seen } = await scripted(() => ({ status: 201, body: { id: 1 } }))
  const path = 'POST /repos/{owner}/{repo}/issues/{issue_number}/comments'
  const results = await Promise.allSettled(
    Array.from({ length: 100 }, () =>
      octokit.request(path, { owner: 'acme', repo: 'shop', issue_number: 1, body: 'x' }),
    ),
  )
  const refused = results.filter((result) => result.status === 'rejected').map(({ reason }) => reason as RetryLater)
  expect(seen).toHaveLength(80)
  expect(refused).toHaveLength(20)
  expect(refused.every((error) => error instanceof RetryLater && error.seconds > 50 && error.seconds <= 60)).toBe(true)
})

test('silence is kept per installation', async () => {
  const limits = createLimits()
  limits.pause('one', 100)
  const { global } = limits.groups as unknown as Record<'global', Group>
  const sent = (request: { method: string }) => Promise.resolve(request.method)
  const ask = (id: string) => global.key(id).schedule({}, sent, { method: 'GET' })
  await expect(ask('one')).rejects.toBeInstanceOf(RetryLater)
  expect(await ask('two')).toBe('GET')
})
