import { setTimeout as sleep } from 'node:timers/promises'
import { Failure } from './failure.ts'

/** Milliseconds between two looks. */
const EVERY_MS = 1_000

/** Looks until there is something, at most so many seconds. `look` is never cut off in the middle. */
export async function waitFor<T>(
  what: string,
  seconds: number,
  look: () => Promise<T | undefined>,
  everyMs = EVERY_MS,
): Promise<T> {
  const end = performance.now() + seconds * 1_000
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    if (performance.now() + everyMs > end)
      throw new Failure(
        `timeout after ${seconds} seconds: ${what}`,
        'It goes on without you. --wait-timeout waits longer, --no-wait not at all.',
      )
    await sleep(everyMs)
  }
}
