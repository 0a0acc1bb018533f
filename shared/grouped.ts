/** How items are done together. */
export interface GroupedOptions<Item, Result> {
  /** Does a group; the results are in the order of the items. When it fails, every item of the group has failed. */
  readonly run: (items: readonly Item[]) => Promise<readonly Result[]>
  /** Items of one group at most; default 64. */
  readonly most?: number
  /** Size of an item, and the sum at which a group is full: an item that is larger by itself goes alone. */
  readonly size?: { readonly of: (item: Item) => number; readonly full: number }
}

/** When a group that takes long no longer holds up the next one, milliseconds, and how many there are at most then. */
const PATIENCE_MS = 100
const LANES = 2

/** Items that go together with whatever else came in the meantime. */
export interface Grouped<Item, Result> {
  add(item: Item): Promise<Result>
  /** For how long the first item in the queue has waited, milliseconds; 0 when there is no queue. */
  waitedMs(): number
}

interface Waiting<Item, Result> extends PromiseWithResolvers<Result> {
  readonly item: Item
  readonly since: number
}

/**
 * What comes alone is done at once; what comes while a group is under way is the next one. So nothing waits for a timer,
 * and groups grow with the load. A second group sets out beside one that waits for a lock or on a dead connection.
 */
export function grouped<Item, Result>({ run, most = 64, size }: GroupedOptions<Item, Result>) {
  const queue: Waiting<Item, Result>[] = []
  let underWay = 0
  let late = 0
  let due = false

  const take = (): Waiting<Item, Result>[] => {
    let count = 0
    for (let sum = 0; count < Math.min(most, queue.length); count += 1) {
      sum += size?.of(queue[count]!.item) ?? 0
      if (count > 0 && size !== undefined && sum > size.full) break
    }
    return queue.splice(0, count)
  }
  const work = async () => {
    due = false
    if (!mayStart()) return
    underWay += 1
    let isLate = false
    const group = take()
    const patience = setTimeout(() => {
      isLate = true
      late += 1
      schedule()
    }, PATIENCE_MS)
    try {
      const results = await run(group.map(({ item }) => item))
      group.forEach((each, index) => each.resolve(results[index]!))
    } catch (error) {
      for (const each of group) each.reject(error)
    }
    clearTimeout(patience)
    underWay -= 1
    if (isLate) late -= 1
    schedule()
  }
  // Beside none, or beside one whose time is up. By its timer and not by a clock: the two differ by a millisecond.
  const mayStart = () => queue.length > 0 && underWay < LANES && underWay === late
  // After what else has arrived by now has been read.
  const schedule = () => {
    if (due || !mayStart()) return
    due = true
    setImmediate(() => void work())
  }
  return {
    add(item) {
      const waiting = { item, since: performance.now(), ...Promise.withResolvers<Result>() }
      queue.push(waiting)
      schedule()
      return waiting.promise
    },
    waitedMs: () => (queue[0] === undefined ? 0 : performance.now() - queue[0].since),
  } satisfies Grouped<Item, Result>
}
