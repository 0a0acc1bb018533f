/** Between two rounds of knocks, milliseconds: who was woken stays awake longer than that. */
const PAUSE_MS = 5_000

/** How long a knock may take, milliseconds: a pod that is not there by then comes without us. */
const KNOCK_MS = 10_000

/**
 * Wakes functions that stand at zero, all at once, while the work that will come to them is still on its way: an event
 * that goes through two of them would wait for one start after the other. A knock is a look at a readiness probe: it says
 * nothing, nobody waits for it, and one that fails costs nothing but the time it would have saved.
 */
export function waker(urls: readonly string[], now: () => number = () => performance.now()): () => void {
  let last = -Infinity
  return () => {
    if (now() - last < PAUSE_MS) return
    last = now()
    for (const url of urls) {
      fetch(`${url}/readyz`, { signal: AbortSignal.timeout(KNOCK_MS) }).then(
        (answer) => answer.body?.cancel(),
        () => undefined,
      )
    }
  }
}
