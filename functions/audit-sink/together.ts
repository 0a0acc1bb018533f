/** Work that is done once for all who ask for it while it is under way: they share the next round, which begins after they asked. */
export function together<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined
  let next: Promise<T> | undefined
  const start = (): Promise<T> => {
    const round = work().finally(() => {
      if (running === round) running = undefined
    })
    running = round
    return round
  }
  const startNext = () => {
    next = undefined
    return start()
  }
  return () => (running === undefined ? start() : (next ??= running.then(startNext, startNext)))
}
