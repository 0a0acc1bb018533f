import { expect, onTestFinished, test, vi } from 'vitest'
import type { Progress } from '#shared/job/result.ts'
import { redactor } from './log.ts'
import { progressReporter } from './progress.ts'

function reporterWith(send: (progress: Progress) => Promise<boolean>) {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const sent: Progress[] = []
  let stopped = 0
  const reporter = progressReporter({
    send(progress) {
      sent.push(progress)
      return send(progress)
    },
    redact: redactor(['secret']),
    onStop: () => stopped++,
  })
  return { reporter, sent, stops: () => stopped }
}

test('a few lines are all sent, in order, one after the other', async () => {
  const { reporter, sent } = reporterWith(() => Promise.resolve(false))
  for (const text of ['a', 'b', 'c']) reporter.say('command', text)
  await vi.advanceTimersByTimeAsync(0)
  expect(sent.map(({ sequence, text }) => [sequence, text])).toEqual([
    [1, 'a'],
    [2, 'b'],
    [3, 'c'],
  ])
})

test('many lines become at most two a second, the newest each time', async () => {
  const { reporter, sent } = reporterWith(() => Promise.resolve(false))
  for (let number = 0; number < 100; number++) {
    reporter.say('command', String(number))
    await vi.advanceTimersByTimeAsync(100)
  }
  expect(sent.length).toBeLessThanOrEqual(8 + 20)
  expect(sent.map(({ sequence }) => sequence)).toEqual(sent.map((_, index) => index + 1))
  await vi.advanceTimersByTimeAsync(1000)
  expect(sent.at(-1)?.text).toBe('99')
})

test('a line that cannot be delivered is lost, and the next one is sent', async () => {
  const { reporter, sent, stops } = reporterWith(() => Promise.reject(new Error('reset')))
  reporter.say('command', 'a')
  reporter.say('command', 'b')
  await vi.advanceTimersByTimeAsync(0)
  expect(sent.map(({ text }) => text)).toEqual(['a', 'b'])
  expect(stops()).toBe(0)
})

test('a stop is passed on', async () => {
  const { reporter, stops } = reporterWith(() => Promise.resolve(true))
  reporter.say('command', 'a')
  await vi.advanceTimersByTimeAsync(0)
  expect(stops()).toBe(1)
})

test('a line is one line of at most 300 characters without tokens', async () => {
  const { reporter, sent } = reporterWith(() => Promise.resolve(false))
  reporter.say('command', `a secret\nb ${'x'.repeat(400)}`)
  await reporter.close()
  expect(sent[0]?.text).toMatch(/^a \[token\] b x+…$/)
  expect(sent[0]?.text).toHaveLength(300)
})
