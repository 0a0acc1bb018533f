/** At most `count` units in any `ms` milliseconds. */
export interface Window {
  readonly count: number
  readonly ms: number
}

/** A sliding log: exact, and small because GitHub's numbers are. */
export function createMeter(windows: readonly Window[]): {
  /** Milliseconds from `now` until `cost` units may be spent; they count as spent then, unless the wait is longer than `longest`. */
  spend(cost: number, now: number, longest: number): number
} {
  const most = Math.max(...windows.map(({ count }) => count))
  let spent: number[] = []
  return {
    spend(cost, now, longest) {
      // The unit that must have left each window, so that `cost` new ones fit into it.
      const free = windows.map(({ count, ms }) => (spent[spent.length + cost - count - 1] ?? -Infinity) + ms)
      const at = Math.max(now, spent.at(-1) ?? -Infinity, ...free)
      if (at - now > longest) return at - now
      spent.push(...Array.from({ length: cost }, () => at))
      if (spent.length > 2 * most) spent = spent.slice(-most)
      return at - now
    },
  }
}
