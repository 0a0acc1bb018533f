import { expect, test } from 'vitest'
import { oneByOne } from '#shared/one-by-one.ts'

test('each is worked on, one after the other, and the first failure is thrown at the end', async () => {
  const done: number[] = []
  const work = async (item: number) => {
    if (item % 2 === 0) throw new Error(`no ${item}`)
    done.push(item)
  }
  await expect(oneByOne([1, 2, 3, 4, 5], work)).rejects.toThrow('no 2')
  expect(done).toEqual([1, 3, 5])
  await expect(oneByOne([], work)).resolves.toBeUndefined()
})
