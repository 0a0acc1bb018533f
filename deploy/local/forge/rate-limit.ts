/** One caller's budget for the running hour. */
export interface Budget {
  readonly headers: Readonly<Record<string, string>>
  readonly exceeded: boolean
}

/** Count one request against a caller's hourly budget, as GitHub does per token. */
export function createRateLimit(limit: number, now: () => number = Date.now): (key: string, cost?: 0 | 1) => Budget {
  const counters = new Map<string, { used: number; reset: number }>()
  return (key, cost = 1) => {
    const seconds = Math.floor(now() / 1000)
    let counter = counters.get(key)
    if (!counter || counter.reset <= seconds) counters.set(key, (counter = { used: 0, reset: seconds + 3600 }))
    const exceeded = cost > 0 && counter.used >= limit
    if (!exceeded) counter.used += cost
    return {
      exceeded,
      headers: {
        'x-ratelimit-limit': String(limit),
        'x-ratelimit-remaining': String(limit - counter.used),
        'x-ratelimit-used': String(counter.used),
        'x-ratelimit-reset': String(counter.reset),
        'x-ratelimit-resource': 'core',
      },
    }
  }
}

/** GitHub's secondary limits: points in a minute, content in a minute and in an hour. */
const SECONDARY = [
  { of: 'points', count: 900, ms: 60_000 },
  { of: 'content', count: 80, ms: 60_000 },
  { of: 'content', count: 500, ms: 3_600_000 },
] as const

/** What people are told of. */
const CONTENT = /^\/repos\/[^/]+\/[^/]+\/(issues|pulls)(\/\d+\/(comments|reviews))?$/

/**
 * Count an account's requests against the secondary limits, of an hour that passes so many times faster. Returns what is
 * exceeded. An account is an installation, whatever token it uses, or the App itself.
 */
export function createSecondaryLimits(
  speed: number,
  now: () => number = Date.now,
): (account: string, method: string, path: string) => string | undefined {
  const accounts = new Map<string, { at: number; points: number; content: number }[]>()
  return (account, method, path) => {
    const points = method === 'GET' || method === 'HEAD' ? 1 : 5
    const content = method === 'POST' && CONTENT.test(path) ? 1 : 0
    const at = now()
    const kept = (accounts.get(account) ?? []).filter((one) => one.at > at - 3_600_000 / speed)
    kept.push({ at, points, content })
    accounts.set(account, kept)
    const exceeded = SECONDARY.find(({ of, count, ms }) => {
      const within = kept.filter((one) => one.at > at - ms / speed)
      return within.reduce((sum, one) => sum + one[of], 0) > count
    })
    return exceeded && `${exceeded.count} ${exceeded.of} in ${exceeded.ms / 60_000} minutes`
  }
}
