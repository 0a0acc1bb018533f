import { RetryLater } from '#shared/errors.ts'
import { createMeter } from './meter.ts'
import type { Window } from './meter.ts'

// GitHub's secondary limits. A request that changes something costs five points, any other one.
const POINTS: readonly Window[] = [{ count: 900, ms: 60_000 }]
const CONTENT: readonly Window[] = [
  { count: 80, ms: 60_000 },
  { count: 500, ms: 3_600_000 },
]

/** Longest time a request waits for its turn. Beyond that the caller is told when to come again. */
const LONGEST_WAIT_MS = 10_000

/** What the throttling plugin expects of a limiter group; its own spaces writes by one and comments by three seconds, however few there are. */
export interface Group {
  key(id: string): {
    schedule<A extends unknown[], T>(job: object, run: (...args: A) => Promise<T>, ...args: A): Promise<T>
  }
}

/** Keeps one process below GitHub's secondary limits, per installation, and silent while GitHub has asked for silence. */
export interface Limits {
  readonly groups: Readonly<Record<'global' | 'auth' | 'write' | 'search' | 'notifications', never>>
  pause(id: string, seconds: number): void
}

/** Limits for one client. A wait of more than 10 s is a RetryLater instead. */
export function createLimits(): Limits {
  const paused = new Map<string, number>()
  const metered = (windows: readonly Window[], cost: (request: unknown) => number): Group => {
    const meters = new Map<string, ReturnType<typeof createMeter>>()
    return {
      key: (id) => ({
        async schedule(_, run, ...args) {
          const meter = meters.get(id) ?? createMeter(windows)
          meters.set(id, meter)
          const now = Date.now()
          const silence = Math.max(0, (paused.get(id) ?? 0) - now)
          if (silence > LONGEST_WAIT_MS) throw rateLimited(silence)
          const wait = silence + meter.spend(cost(args[0]), now + silence, LONGEST_WAIT_MS - silence)
          if (wait > LONGEST_WAIT_MS) throw rateLimited(wait)
          if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait))
          return run(...args)
        },
      }),
    }
  }
  const free: Group = { key: () => ({ schedule: (_, run, ...args) => run(...args) }) }
  const groups: Record<keyof Limits['groups'], Group> = {
    global: metered(POINTS, (request) => (isRead(request) ? 1 : 5)),
    notifications: metered(CONTENT, () => 1),
    auth: free,
    write: free,
    search: free,
  }
  return {
    groups: groups as Limits['groups'],
    pause: (id, seconds) => void paused.set(id, Math.max(paused.get(id) ?? 0, Date.now() + seconds * 1000)),
  }
}

const rateLimited = (ms: number) => new RetryLater('rate limited', { seconds: Math.ceil(ms / 1000) })

const isRead = (request: unknown) => /^(GET|HEAD)$/.test(String((request as { method?: unknown }).method))
