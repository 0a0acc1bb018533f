/** A rate in the form that one time stands for: so many units at once, then one in every so many milliseconds. */
export interface Rate {
  readonly burst: number
  readonly everyMs: number
}

/** The rates of one account on a forge. */
export interface Rates {
  /** What every request costs: one point, five where it changes something. */
  readonly points: Rate
  /** Requests that create what people are told of, in any minute and in any hour. */
  readonly minute: Rate
  readonly hour: Rate
}

/**
 * Below GitHub's secondary limits: 900 points in a minute, 80 requests that create content in a minute and 500 in an hour.
 * A window of length W never holds more than burst + W / every: 800, 75 and 475. The rest is for requests that start apart
 * and arrive together.
 */
export const RATES: Rates = {
  points: { burst: 300, everyMs: 120 },
  minute: { burst: 15, everyMs: 1_000 },
  hour: { burst: 75, everyMs: 9_000 },
}

/** Units that a request spends. */
export interface Cost {
  readonly points: number
  readonly content: number
}

/** What an account has been granted, and when it has to be silent. */
export interface Pace {
  /** Milliseconds until this cost may be spent; it counts as spent then, unless the wait is longer than `longestMs`. */
  spend(account: string, cost: Cost, longestMs: number): Promise<number>
  /**
   * Nothing is granted for so many seconds; undefined where the forge named no time: a minute, and twice as long as the
   * last one within an hour, up to an hour. Returns the seconds that silence lasts from now.
   */
  silence(account: string, seconds: number | undefined): Promise<number>
}

/** Seconds of silence where the forge named none, and the longest one. */
export const SILENCE = { unnamed: 60, longest: 3_600 }
