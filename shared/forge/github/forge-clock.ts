/** A difference below this is the time that an answer takes and the whole seconds of its date. */
const NOTICED_SECONDS = 30

/** The forge's clock, as its answers tell it. */
export interface ForgeClock {
  /** The given fetch, which listens to the `Date` of every answer. */
  readonly fetch: typeof globalThis.fetch
  /** Whole seconds that the forge is ahead of this machine; 0 while nothing was heard or the two agree within 30 s. */
  difference(): number
}

/**
 * What we sign for the forge has to be of the forge's time: it refuses an App's JWT that is more than a minute in its
 * future or over its ten minutes, and a pod's clock may be off by more than that.
 */
export function forgeClock(fetch: typeof globalThis.fetch): ForgeClock {
  let seconds = 0
  return {
    async fetch(input, init) {
      const response = await fetch(input, init)
      const date = Date.parse(response.headers.get('date') ?? '')
      if (!Number.isNaN(date)) seconds = Math.round((date - Date.now()) / 1_000)
      return response
    },
    difference: () => (Math.abs(seconds) < NOTICED_SECONDS ? 0 : seconds),
  }
}
