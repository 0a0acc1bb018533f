import { createHmac, createSecretKey } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { verify } from './signature.ts'

const key = Buffer.from("It's a Secret to Everybody")
const body = Buffer.from('Hello, World!')
// From GitHub's documentation, "Validating webhook deliveries".
const vector = 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17'
const keys = { current: createSecretKey(key), previous: undefined }
const signed = (bytes: Uint8Array, by: Uint8Array) => `sha256=${createHmac('sha256', by).update(bytes).digest('hex')}`

describe('the signature', () => {
  test("W1: GitHub's own vector is accepted", () => {
    expect(verify(body, vector, keys)).toBe('current')
  })

  test('W1: one flipped bit in the body is refused, at every bit of 2 KiB', () => {
    const bytes = Buffer.from(Array.from({ length: 2048 }, (_, index) => (index * 31) % 256))
    const header = signed(bytes, key)
    expect(verify(bytes, header, keys)).toBe('current')
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(verify(bytes, header, keys)).toBeUndefined()
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    }
  })

  test('W1: one changed digit is refused, at every digit', () => {
    for (let index = 'sha256='.length; index < vector.length; index += 1) {
      const digit = vector[index] === '0' ? '1' : '0'
      expect(verify(body, vector.slice(0, index) + digit + vector.slice(index + 1), keys)).toBeUndefined()
    }
  })

  const hex = vector.slice('sha256='.length)
  test.for([
    ['is missing', null],
    ['is empty', ''],
    ['has no digits', 'sha256='],
    ['is SHA-1', `sha1=${createHmac('sha1', key).update(body).digest('hex')}`],
    ['has its name in capitals', `SHA256=${hex}`],
    ['has its digits in capitals', `sha256=${hex.toUpperCase()}`],
    ['has 63 digits', vector.slice(0, -1)],
    ['has 65 digits', `${vector}0`],
    ['has letters that are no digits', `sha256=zz${hex.slice(2)}`],
    ['came twice', `${vector}, ${vector}`],
    ['ends in a space', `${vector} `],
    ['ends in NUL', `${vector}\0`],
    ['ends in a line break', `${vector}\n`],
    ['has no name', hex],
  ] as const)('W1, W2: one that %s is refused without an error', ([, header]) => {
    expect(verify(body, header, keys)).toBeUndefined()
  })

  test('W1: no text but the right one is accepted', () => {
    const near = fc.tuple(fc.nat(vector.length), fc.string({ maxLength: 3 }), fc.nat(3))
    const texts = fc.oneof(
      fc.string({ unit: 'binary' }),
      near.map(([at, text, cut]) => vector.slice(0, at) + text + vector.slice(at + cut)),
    )
    fc.assert(
      fc.property(texts, (header) => {
        expect(verify(body, header, keys)).toBe(header === vector ? 'current' : undefined)
      }),
      { numRuns: 500 },
    )
  })

  test('W1: any body is accepted with its own key and with no other', () => {
    const bytes = fc.uint8Array({ maxLength: 300 })
    const anyKey = fc.uint8Array({ minLength: 1, maxLength: 100 })
    fc.assert(
      fc.property(bytes, anyKey, anyKey, (text, one, other) => {
        const header = signed(text, one)
        const pair = { current: createSecretKey(one), previous: undefined }
        expect(verify(text, header, pair)).toBe('current')
        // HMAC pads keys with NUL: `a` and `a\0` are one key.
        const padded = (each: Uint8Array) =>
          Buffer.from(each)
            .toString('hex')
            .replace(/(00)+$/, '')
        fc.pre(padded(one) !== padded(other) && one.length <= 64 && other.length <= 64)
        expect(verify(text, signed(text, other), pair)).toBeUndefined()
      }),
    )
  })

  test('W3: no key and an empty key match nothing, not even what was signed with an empty key', () => {
    const header = signed(body, Buffer.alloc(0))
    const none = createSecretKey(Buffer.alloc(0))
    expect(verify(body, header, { current: undefined, previous: undefined })).toBeUndefined()
    expect(verify(body, header, { current: none, previous: none })).toBeUndefined()
  })

  test('W21: the previous key is accepted and named', () => {
    const other = Buffer.from('the new one')
    const both = { current: createSecretKey(other), previous: createSecretKey(key) }
    expect(verify(body, vector, both)).toBe('previous')
    expect(verify(body, signed(body, other), both)).toBe('current')
  })
})
