import { RetryLater } from '#shared/errors.ts'
import type { Cost, Pace } from '#shared/pace.ts'

/** Longest time a request waits for its turn, milliseconds. Beyond that the caller is told when to come again. */
const LONGEST_WAIT_MS = 10_000

const NOTHING: Cost = { points: 0, content: 0 }

/** What the throttling plugin expects of a limiter group; its own spaces writes by one and comments by three seconds, however few there are. */
export interface Group {
  key(id: string): {
    schedule<A extends unknown[], T>(job: object, run: (...args: A) => Promise<T>, ...args: A): Promise<T>
  }
}

/** The plugin's groups. */
export type Groups = Readonly<Record<'global' | 'auth' | 'write' | 'search' | 'notifications', never>>

/**
 * Limiter groups that keep a pace per account: below GitHub's secondary limits, and silent while GitHub has asked for
 * silence. A wait of more than 10 s is a RetryLater instead.
 */
export function paced(pace: Pace): Groups {
  const metered = (cost: (request: unknown) => Cost): Group => ({
    key: (id) => ({
      async schedule(_, run, ...args) {
        const wait = await pace.spend(id, cost(args[0]), LONGEST_WAIT_MS)
        if (wait > LONGEST_WAIT_MS) throw rateLimited(wait)
        if (wait > 0) {
          await new Promise((resolve) => setTimeout(resolve, wait))
          // Somebody else may have been told to be silent meanwhile.
          const silence = await pace.spend(id, NOTHING, 0)
          if (silence > 0) throw rateLimited(silence)
        }
        return run(...args)
      },
    }),
  })
  const free: Group = { key: () => ({ schedule: (_, run, ...args) => run(...args) }) }
  const groups: Record<keyof Groups, Group> = {
    global: metered((request) => ({ points: isRead(request) ? 1 : 5, content: 0 })),
    notifications: metered(() => ({ points: 0, content: 1 })),
    auth: free,
    write: free,
    search: free,
  }
  return groups as Groups
}

const rateLimited = (ms: number) => new RetryLater('rate limited', { seconds: Math.ceil(ms / 1000) })

const isRead = (request: unknown) => /^(GET|HEAD)$/.test(String((request as { method?: unknown }).method))
