import type { Post } from '#shared/outbox/post.ts'

/** When a broker that does not answer is left alone, and for how long. */
export interface BreakerOptions {
  /** Failures in a row; default 3. */
  readonly failures?: number
  /** Milliseconds without a try; default 5 s. */
  readonly pauseMs?: number
  /** Milliseconds on a clock that never goes back. */
  readonly now?: () => number
}

/**
 * A post that stops trying for a while when the other side is down, so that a dead broker costs a delivery nothing
 * but the attempt: its event is committed, and the sweep relays it. After the pause one failure closes the way again.
 */
export function createBreaker(
  send: Post,
  { failures = 3, pauseMs = 5_000, now = () => performance.now() }: BreakerOptions = {},
): Post {
  let failed = 0
  let closedUntil = -Infinity
  const count = (ok: boolean) => {
    failed = ok ? 0 : failed + 1
    if (failed >= failures) closedUntil = now() + pauseMs
  }
  return async (url, message) => {
    if (now() < closedUntil) throw new Error('the broker is left alone for a while')
    try {
      const answer = await send(url, message)
      // 4xx is about one event, not about the broker.
      count(answer.status < 500 && answer.status !== 429)
      return answer
    } catch (error) {
      count(false)
      throw error
    }
  }
}
