import fc from 'fast-check'
import * as v from 'valibot'
import { expect, test } from 'vitest'
import { schemaProblems } from '#shared/schema-problems.ts'

const Schema = v.strictObject({
  name: v.pipe(v.string(), v.maxLength(3)),
  kind: v.picklist(['a', 'b']),
  inner: v.strictObject({ list: v.array(v.number()) }),
})
const problemsOf = (value: unknown) => schemaProblems(v.safeParse(Schema, value).issues ?? [])

test('it says where and what was expected', () => {
  expect(problemsOf({ name: 'long one', kind: 'c', inner: { list: [1, 'x'] } })).toBe(
    'name: is against the rule max_length; kind: expected ("a" | "b"); inner.list.1: expected number',
  )
  expect(problemsOf({ name: 'x', kind: 'a' })).toBe('inner: expected "inner"')
  expect(problemsOf({ name: 'x', kind: 'a', inner: { list: [], canary: 1 } })).toBe(
    'inner: has a key that is not known',
  )
  expect(problemsOf({ inner: { list: ['x', 'x', 'x', 'x', 'x', 'x', 'x'] } })).toMatch(/; and \d more$/)
})

test('I8 it repeats nothing of what it was given', () => {
  const value = fc.oneof(
    fc.string().map((text) => `canary${text}`),
    fc.constant({ canary: 'canary' }),
    fc.constant(['canary']),
  )
  const key = fc.string().map((text) => `canary${text}`)
  fc.assert(
    fc.property(fc.dictionary(fc.oneof(fc.constantFrom('name', 'kind', 'inner'), key), value), (given) => {
      expect(problemsOf(given)).not.toContain('canary')
      expect(problemsOf(given).length).toBeLessThanOrEqual(400)
    }),
  )
})
