import { describe, expect, test } from 'vitest'
import { at, idAt, textAt } from './json.ts'

describe('a value at a path', () => {
  test('W17: is never an inherited one', () => {
    for (const path of ['constructor', 'toString', '__proto__', 'a.constructor.name', '__proto__.polluted']) {
      expect(at({ a: {} }, path)).toBeUndefined()
    }
    expect(at(JSON.parse('{"__proto__":{"a":1}}'), '__proto__.a')).toBe(1)
    expect(at(JSON.parse('{"__proto__":{"a":1}}'), 'a')).toBeUndefined()
  })

  test('is not looked for in texts and arrays', () => {
    expect([at({ a: 'text' }, 'a.length'), at({ a: [1] }, 'a.0'), at(null, 'a')]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
  })

  test('is an id only as a number, and a text only when there is one', () => {
    expect([idAt({ id: 5 }, 'id'), idAt({ id: '5' }, 'id')]).toEqual(['5', undefined])
    expect([textAt({ a: 5 }, 'a'), textAt({ a: '' }, 'a'), textAt({ a: null }, 'a')]).toEqual([
      '5',
      undefined,
      undefined,
    ])
  })
})
