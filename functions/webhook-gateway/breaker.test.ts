import { describe, expect, test } from 'vitest'
import type { Post } from '#shared/outbox/post.ts'
import { createBreaker } from './breaker.ts'

function broker(answers: readonly (number | 'down')[]) {
  let tries = 0
  let time = 0
  const send: Post = () => {
    const answer = answers[Math.min(tries++, answers.length - 1)] ?? 'down'
    return answer === 'down'
      ? Promise.reject(new Error('down'))
      : Promise.resolve(new Response(null, { status: answer }))
  }
  const post = createBreaker(send, { failures: 3, pauseMs: 1_000, now: () => time })
  return {
    tries: () => tries,
    wait: (ms: number) => void (time += ms),
    post: () =>
      post('http://broker', { headers: {}, body: null, timeoutMs: 1_000 })
        .then((response) => response.status)
        .catch((error: Error) => error.message),
  }
}

describe('the breaker', () => {
  test.for(['down', 500, 503, 429] as const)(
    'stops trying after three answers of %s and tries again after the pause',
    async (answer) => {
      const { post, tries, wait } = broker([answer])
      for (let i = 0; i < 10; i += 1) await post()
      expect(tries()).toBe(3)
      wait(999)
      expect(await post()).toBe('the broker is left alone for a while')
      wait(1)
      await post()
      expect(tries()).toBe(4)
      await post()
      expect(tries()).toBe(4)
    },
  )

  test('forgets failures at the first success', async () => {
    const { post, tries } = broker(['down', 'down', 202, 'down', 'down', 202])
    for (let i = 0; i < 6; i += 1) await post()
    expect(tries()).toBe(6)
    expect(await post()).toBe(202)
  })

  test('does not blame the broker for an event that it refuses', async () => {
    const { post, tries } = broker([400])
    for (let i = 0; i < 10; i += 1) expect(await post()).toBe(400)
    expect(tries()).toBe(10)
  })
})
