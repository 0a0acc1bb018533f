import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalJson, digestOf, sha256 } from '#shared/digest.ts'

/** A JSON value with its members in another order, and nothing else changed. */
function shuffled(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shuffled)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([key, member]) => [key, shuffled(member)]),
  )
}

const json = fc.jsonValue({ stringUnit: 'grapheme' })

describe('the canonical form', () => {
  test('is the one of RFC 8785: its own example', () => {
    const value = {
      numbers: [Number('333333333.33333329'), 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
      string: '\u20ac$\u000F\u000aA\'\u0042\u0022\u005c\\"\u002f',
      literals: [null, true, false],
    }
    expect(canonicalJson(value)).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    )
  })

  test('sorts members by UTF-16 code units, as the RFC says', () => {
    const keys = ['\u20ac', '\r', '\ufb33', '1', '\u{1f600}', '\u0080', '\u00f6']
    const sorted = Object.keys(JSON.parse(canonicalJson(Object.fromEntries(keys.map((key) => [`k${key}`, 1]))))).map(
      (key) => key.slice(1),
    )
    expect(sorted).toEqual(['\r', '1', '\u0080', '\u00f6', '\u20ac', '\u{1f600}', '\ufb33'])
  })

  test('does not depend on the order of members, and is read back as the same value', () => {
    fc.assert(
      fc.property(json, (value) => {
        expect(canonicalJson(shuffled(value))).toBe(canonicalJson(value))
        const read: unknown = JSON.parse(canonicalJson(value))
        expect(canonicalJson(read)).toBe(canonicalJson(value))
        // What JSON cannot tell apart is one value: -0 is 0.
        expect(read).toEqual(JSON.parse(JSON.stringify(value)))
      }),
    )
  })

  test('U4 is another for another value, and so is the digest', () => {
    fc.assert(
      fc.property(json, json, (one, other) => {
        const same = isDeepStrictEqual(JSON.parse(JSON.stringify(one)), JSON.parse(JSON.stringify(other)))
        expect(canonicalJson(one) === canonicalJson(other)).toBe(same)
        expect(digestOf(one) === digestOf(other)).toBe(same)
      }),
    )
    for (const [one, other] of [
      ['\u00e9', 'e\u0301'],
      [1, '1'],
      [null, 'null'],
      [[], {}],
      [
        ['a', 'bc'],
        ['ab', 'c'],
      ],
      [{ a: { b: 1 } }, { 'a.b': 1 }],
    ])
      expect(digestOf(one)).not.toBe(digestOf(other))
    expect(digestOf(1.0)).toBe(digestOf(1))
  })

  test.for([undefined, Number.NaN, Number.POSITIVE_INFINITY, 1n, '\ud800', { a: ['\udc00'] }])(
    'of %s there is none',
    (value) => {
      expect(() => canonicalJson(value)).toThrow(Error)
    },
  )

  test('a digest is 64 lower-case hex digits of the bytes', () => {
    expect(sha256('')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
    expect(sha256(new Uint8Array([0xff]))).toBe(sha256(Buffer.from([0xff])))
  })
})
