import type { HttpBindings } from '@hono/node-server'
import type { MiddlewareHandler } from 'hono'
import RateLimiterMemory from 'rate-limiter-flexible/lib/RateLimiterMemory.js'
import { problem } from '#shared/edge/problem.ts'

/** Deliveries that are not authentic, from one address within so many seconds, before the next are not even read. */
const MOST = 50
const SECONDS = 10

/** A refused body up to this is thrown away to keep the connection, bytes: a flood of new ones costs several times as much. */
const SMALL_BODY = 64 * 1024

/**
 * Answers 429 to an address that keeps sending what is not authentic, before its body is read. An authentic delivery
 * costs nothing, so a forge is never held up by others. Counted per process: each replica defends itself.
 *
 * `trustedProxies` is the number of proxies of our own in front: as many entries at the end of X-Forwarded-For are
 * theirs to say, and what stands before them is anybody's invention. 0: the address of the connection.
 */
export function throttled(trustedProxies: number): MiddlewareHandler<{ Bindings: Partial<HttpBindings> }> {
  const failures = new RateLimiterMemory({ points: MOST, duration: SECONDS })
  return async (c, next) => {
    const peer = c.env?.incoming?.socket.remoteAddress
    const forwarded = (c.req.header('x-forwarded-for') ?? '').split(',').map((entry) => entry.trim())
    const address = trustedProxies === 0 ? peer : forwarded.at(-trustedProxies)
    if (address === undefined || address === '') return next()
    const seen = await failures.get(address)
    if (seen !== null && seen.consumedPoints >= MOST) {
      const seconds = Math.max(1, Math.ceil(seen.msBeforeNext / 1_000))
      const isSmall = Number(c.req.header('content-length') ?? Infinity) <= SMALL_BODY
      return problem(
        { status: 429, code: 'too_many_failures', title: 'Too many deliveries that are not authentic' },
        { 'retry-after': String(seconds), ...(!isSmall && { connection: 'close' }) },
      )
    }
    await next()
    if (c.res.status === 401) await failures.penalty(address)
    return undefined
  }
}
