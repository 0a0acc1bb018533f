import { setTimeout as sleep } from 'node:timers/promises'

/** What is awaited and for how long. */
export interface EventuallyOptions {
  /** Completes the sentence "waited 5000 ms for ...". */
  readonly what: string
  /** Default 10 s. */
  readonly timeoutMs?: number
  /** Time between two looks; default 25 ms. */
  readonly everyMs?: number
}

/** What is left of a type once its value is truthy. */
type Truthy<T> = Exclude<T, undefined | null | false | 0 | ''>

/** Looks again and again until the check gives something truthy without throwing; fails with what it saw last. */
export async function eventually<T>(
  check: () => T | Promise<T>,
  { what, timeoutMs = 10_000, everyMs = 25 }: EventuallyOptions,
): Promise<Truthy<T>> {
  const end = performance.now() + timeoutMs
  for (;;) {
    let last: unknown
    let thrown: unknown
    try {
      const result = await check()
      if (result) return result as Truthy<T>
      last = result
    } catch (error) {
      thrown = error
    }
    if (performance.now() >= end) {
      const seen = thrown instanceof Error ? thrown.message : JSON.stringify(thrown ?? last)
      throw new Error(`waited ${timeoutMs} ms for ${what}; last seen: ${seen}`, { cause: thrown })
    }
    await sleep(everyMs)
  }
}
