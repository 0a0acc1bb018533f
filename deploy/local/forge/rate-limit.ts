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
