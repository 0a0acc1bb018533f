import { describe, expect, test } from 'vitest'
import { grouped } from '#shared/grouped.ts'
import { eventually } from '../test/support/wait.ts'

/** A `run` that keeps its groups and ends when it is told to. */
function held() {
  const groups: { items: readonly number[]; end: PromiseWithResolvers<readonly string[]> }[] = []
  const run = (items: readonly number[]) => {
    const end = Promise.withResolvers<readonly string[]>()
    groups.push({ items, end })
    return end.promise
  }
  const finish = (index: number) => groups[index]?.end.resolve(groups[index].items.map((item) => `done ${item}`))
  return { groups, run, finish, sizes: () => groups.map(({ items }) => items) }
}

describe('what is done in groups', () => {
  test('goes at once when nothing is under way, and together when something is', async () => {
    const { run, finish, sizes } = held()
    const { add } = grouped({ run })
    const first = add(1)
    await eventually(() => sizes().length === 1, { what: 'the first group' })
    const rest = [add(2), add(3), add(4)]
    finish(0)
    expect(await first).toBe('done 1')
    await eventually(() => sizes().length === 2, { what: 'the second group' })
    finish(1)
    expect(await Promise.all(rest)).toEqual(['done 2', 'done 3', 'done 4'])
    expect(sizes()).toEqual([[1], [2, 3, 4]])
  })

  test('is never more than so many items, and so much in size', async () => {
    const { run, finish, sizes } = held()
    const { add } = grouped({ run, most: 3, size: { of: (item: number) => item, full: 10 } })
    const all = [1, 1, 1, 1, 50, 6, 5, 5].map(add)
    for (let index = 0; index < 5; index += 1) {
      await eventually(() => sizes().length > index, { what: `group ${index}` })
      finish(index)
    }
    await Promise.all(all)
    expect(sizes()).toEqual([[1, 1, 1], [1], [50], [6], [5, 5]])
  })

  test('sets out beside one other that takes long, and beside no more', async () => {
    const { run, finish, sizes } = held()
    const { add, waitedMs } = grouped({ run })
    const stuck = add(1)
    await eventually(() => sizes().length === 1, { what: 'the first group' })
    const beside = add(2)
    await eventually(() => sizes().length === 2, { what: 'the second group' })
    const last = add(3)
    await eventually(() => waitedMs() > 300, { what: 'a wait' })
    expect(sizes()).toEqual([[1], [2]])
    finish(1)
    expect(await beside).toBe('done 2')
    await eventually(() => sizes().length === 3, { what: 'the third group' })
    finish(0)
    finish(2)
    expect(await Promise.all([stuck, last])).toEqual(['done 1', 'done 3'])
  })

  test('sets out again beside one that is stuck as soon as the other is done', async () => {
    const { run, finish, sizes } = held()
    const { add } = grouped({ run })
    const stuck = add(1)
    await eventually(() => sizes().length === 1, { what: 'the first group' })
    const beside = add(2)
    await eventually(() => sizes().length === 2, { what: 'the second group', everyMs: 1 })
    const last = add(3)
    finish(1)
    await beside
    await eventually(() => sizes().length === 3, { what: 'the third group' })
    finish(0)
    finish(2)
    expect(await Promise.all([stuck, last])).toEqual(['done 1', 'done 3'])
  })

  test('fails together, and the next group is not part of it', async () => {
    const { groups, run, finish, sizes } = held()
    const { add } = grouped({ run })
    const [one, two] = [add(1), add(2)].map((each) => each.catch((error: Error) => error.message))
    await eventually(() => sizes().length === 1, { what: 'the first group' })
    const next = add(3)
    groups[0]?.end.reject(new Error('no'))
    expect([await one, await two]).toEqual(['no', 'no'])
    await eventually(() => sizes().length === 2, { what: 'the second group' })
    finish(1)
    expect(await next).toBe('done 3')
  })

  test('says how long the first in the queue has waited', async () => {
    const { run, finish, sizes } = held()
    const { add, waitedMs } = grouped({ run })
    const first = add(1)
    await eventually(() => sizes().length === 1, { what: 'the first group' })
    expect(waitedMs()).toBe(0)
    const second = add(2)
    await eventually(() => waitedMs() > 20, { what: 'a wait' })
    finish(0)
    await first
    await eventually(() => sizes().length === 2, { what: 'the second group' })
    expect(waitedMs()).toBe(0)
    finish(1)
    await second
  })
})
