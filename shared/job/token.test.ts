import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { mintToken, verifyToken, type AttemptRef, type Audience } from '#shared/job/token.ts'

const key = 'a key of the test, long enough for anything'
const refs = fc.record({
  run: fc.uuid(),
  attempt: fc.integer({ min: 1, max: 99_999 }),
  fence: fc.integer({ min: 1, max: 10 ** 15 - 1 }),
})
const audiences = fc.constantFrom<Audience[]>('run', 'model')
const same = (left: AttemptRef, right: AttemptRef) => JSON.stringify(left) === JSON.stringify(right)

describe('the token of an attempt', () => {
  test('is the same whenever it is made, and names its attempt to whoever has the key', () => {
    fc.assert(
      fc.property(refs, audiences, (ref, audience) => {
        const token = mintToken(key, audience, ref)
        expect(token).toBe(mintToken(key, audience, { ...ref }))
        expect(token).toMatch(/^[\x21-\x7e]+$/)
        expect(verifyToken(key, audience, token)).toEqual(ref)
      }),
    )
  })

  test('J8 opens nothing else: no other audience, attempt or key', () => {
    fc.assert(
      fc.property(refs, refs, audiences, (ref, other, audience) => {
        const token = mintToken(key, audience, ref)
        expect(verifyToken(key, audience === 'run' ? 'model' : 'run', token)).toBeUndefined()
        expect(verifyToken(`${key}x`, audience, token)).toBeUndefined()
        const mac = token.split('.').at(-1)
        const grafted = `${audience}.${other.run}.${other.attempt}.${other.fence}.${mac}`
        expect(verifyToken(key, audience, grafted) === undefined || same(ref, other)).toBe(true)
      }),
    )
  })

  test('J8 with any one character changed, added or left out it is no token', () => {
    const token = mintToken(key, 'run', { run: '6f9b1c9e-0000-4000-8000-000000000001', attempt: 1, fence: 7 })
    for (let at = 0; at < token.length; at += 1) {
      for (const letter of ['A', '0', '.', '-', '\n', '\u00e9', '=']) {
        if (token[at] === letter) continue
        // The last letter of 32 bytes in base64url holds four bits that count and two that do not; it has to be exact all the same.
        expect(verifyToken(key, 'run', token.slice(0, at) + letter + token.slice(at + 1))).toBeUndefined()
        expect(verifyToken(key, 'run', token.slice(0, at) + letter + token.slice(at))).toBeUndefined()
      }
      expect(verifyToken(key, 'run', token.slice(0, at) + token.slice(at + 1))).toBeUndefined()
    }
    for (const bad of [
      '',
      `${token}\n`,
      ` ${token}`,
      `${token}.`,
      token.replace('.1.', '.01.'),
      token.replace('.1.', '.1e0.'),
    ])
      expect(verifyToken(key, 'run', bad)).toBeUndefined()
  })

  test('no text at all is taken for one', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        expect(verifyToken(key, 'run', text)).toBeUndefined()
      }),
    )
  })
})
