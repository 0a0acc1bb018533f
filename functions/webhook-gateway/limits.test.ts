import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { LIMITS, readJson } from './limits.ts'
import { recorded } from './testing/adapter-document.ts'

const read = (text: string) => readJson(Buffer.from(text))
const nested = (depth: number) => '{"a":'.repeat(depth - 1) + '{}' + '}'.repeat(depth - 1)

/** What JSON.parse makes of it; undefined when it refuses. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

describe('the JSON of a body', () => {
  test('every recorded body is read as it is', async () => {
    for (const { body } of recorded) expect(await read(JSON.stringify(body, null, 2))).toEqual(body)
  })

  test.for([
    ['UTF-16', Buffer.from([0xff, 0xfe, 0x7b, 0x00]), 'not_utf8'],
    ['an overlong NUL', Buffer.from('7b2261223a22c080227d', 'hex'), 'not_utf8'],
    ['half of a surrogate pair as bytes', Buffer.from('7b2261223a22eda080227d', 'hex'), 'not_utf8'],
    ['a byte order mark', Buffer.from('efbbbf7b7d', 'hex'), 'not_json'],
    ['an escaped NUL', '{"a":"\\u0000"}', 'unstorable_text'],
    ['an escaped NUL in a key', '{"a\\u0000":1}', 'unstorable_text'],
    ['a high surrogate alone', '{"a":["\\ud800"]}', 'unstorable_text'],
    ['a low surrogate alone in a key', '{"\\uDC00":1}', 'unstorable_text'],
    ['surrogates in the wrong order', '{"a":"\\udc00\\ud800"}', 'unstorable_text'],
    ['a raw NUL', '{"a":"\0"}', 'not_json'],
  ] as const)('W16: %s is refused', async ([, bytes, fault]) => {
    expect(await readJson(Buffer.from(bytes))).toBe(fault)
  })

  test.for(['{"a":"\\ud83d\\ude00"}', '{"a":"\\\\u0000"}', '{"a":"\u{1f600} \u2028"}', '{"":"\\"\\\\"}'])(
    'W16: %s is fine',
    async (text) => {
      expect(await read(text)).toEqual(JSON.parse(text))
    },
  )

  test.for([
    ['64 levels', 64, false],
    ['65 levels', 65, true],
    ['100 levels', 100, true],
    ['10,000 levels', 10_000, true],
    ['100,000 levels', 100_000, true],
    ['5,000,000 levels', 5_000_000, true],
  ] as const)('W14: %s', async ([, depth, tooDeep]) => {
    const object = await read(nested(depth))
    expect(object === 'too_deep').toBe(tooDeep)
    const array = await read(`{"a":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`)
    expect(array === 'too_deep').toBe(tooDeep)
  })

  test('W14: brackets in strings are no levels', async () => {
    const text = JSON.stringify({ '[[{{': '[{'.repeat(100), b: ['\\"[', '\\\\'] })
    expect(await read(text)).toEqual(JSON.parse(text))
  })

  const many = (length: number, item: (index: number) => string) =>
    Array.from({ length }, (_, index) => item(index)).join()
  test.for([
    ['a million keys', `{${many(1_000_000, (index) => `"k${index}":0`)}}`, 'too_many_keys'],
    ['one key too many', `{${many(LIMITS.keysPerObject + 1, (index) => `"k${index}":0`)}}`, 'too_many_keys'],
    ['a million elements', `{"a":[${many(1_000_000, () => '0')}]}`, 'too_many_values'],
    ['a million literals', `{"a":[${many(333_334, () => 'null,true,false')}]}`, 'too_many_values'],
    ['a million empty arrays', `{"a":[${many(1_000_000, () => '[]')}]}`, 'too_many_values'],
    ['a million texts', `{"a":[${many(1_000_000, () => '""')}]}`, 'too_many_values'],
    ['a million labels', `{"issue":{"labels":[${many(1_000_000, () => '{}')}]}}`, 'too_many_labels'],
    ['one label too many', `{"labels":[${many(LIMITS.labels + 1, () => '{"name":"x"}')}]}`, 'too_many_labels'],
  ] as const)('W15: %s is refused', async ([, text, fault]) => {
    expect(await read(text)).toBe(fault)
  })

  test('W15: as many keys, labels and values as allowed are fine', async () => {
    expect(await read(`{${many(LIMITS.keysPerObject, (index) => `"k${index}":0`)}}`)).toBeTypeOf('object')
    expect(await read(`{"labels":[${many(LIMITS.labels, () => '{"name":"x"}')}]}`)).toBeTypeOf('object')
    expect(await read(`{"a":[${many(LIMITS.values - 2, () => '0')}]}`)).toBeTypeOf('object')
    expect(await read(`{"a":[${many(LIMITS.values - 1, () => '0')}]}`)).toBe('too_many_values')
  })

  test('W15: one text of 24 MB is fine, with and without escapes', async () => {
    expect(await read(`{"a":"${'x'.repeat(24e6)}"}`)).toBeTypeOf('object')
    expect(await read(`{"a":"${'\\"'.repeat(12e6)}"}`)).toBeTypeOf('object')
    expect(await read(`{"a":"${'\\\\'.repeat(12e6)}"}`)).toBeTypeOf('object')
  })

  test.for([
    ['a key twice', '{"label":1,"label":2}'],
    ['a key twice, once in escapes', '{"label":1,"l\\u0061bel":2}'],
    ['a key twice, deep inside', '{"a":[{"b":{"c":1,"d":2,"c":3}}]}'],
    ['__proto__ twice', '{"__proto__":1,"__proto__":2}'],
    ['a key twice with white space', '{ "a" : {} ,\n\t"a" : [] }'],
  ])('W17: %s is refused', async ([, text]) => {
    expect(await read(text ?? '')).toBe('duplicate_key')
  })

  test('W17: the same key in two objects is fine', async () => {
    expect(await read('{"a":{"x":1},"b":[{"x":1},{"x":2}],"x":"a"}')).toBeTypeOf('object')
  })

  test('W17: __proto__ is a name like others', async () => {
    const body = await read('{"__proto__":{"isAdmin":true},"constructor":{"prototype":{"isAdmin":true}}}')
    expect(({} as { isAdmin?: boolean }).isAdmin).toBeUndefined()
    expect(Object.keys(body)).toEqual(['__proto__', 'constructor'])
  })

  test.for([
    '12345678901234567890',
    '9007199254740992',
    '9007199254740993',
    '1e400',
    '1.5',
    '9007199254740990.9',
    '1e3',
    '-9007199254740993',
  ])('W17: an id of %s is refused, as a text or elsewhere it is fine', async (literal) => {
    expect(await read(`{"repository":{"id":${literal}}}`)).toBe('unsafe_id')
    expect(await read(`{"issue":{"number": ${literal} }}`)).toBe('unsafe_id')
    expect(await read(`{"hook_id":${literal}}`)).toBe('unsafe_id')
    expect(await read(`{"id":"${literal}","position":${literal}}`)).toBeTypeOf('object')
  })

  test('W17: the largest safe id is fine', async () => {
    expect(await read('{"id":9007199254740991}')).toEqual({ id: 9007199254740991 })
  })

  test.for(['[]', '"a"', '1', 'null', 'true'])('%s is no object', async (text) => {
    expect(await read(text)).toBe('not_an_object')
  })

  test.for([
    '',
    '{',
    '{"a"}',
    '{"a":1}}',
    "{'a':1}",
    '{"a":01}',
    '{"a":nul}',
    '{"a":1,}',
    '{"a":"\\x"}',
    '{"a',
    ']',
    '{"\\":1}',
    '{} {}',
  ])('%j is no JSON', async (text) => {
    expect(await read(text)).toBe('not_json')
  })

  test('every object that JSON.stringify writes is read as JSON.parse reads it', async () => {
    const keys = fc.string({ unit: 'grapheme' }).map((key) => `k${key}`)
    const objects = fc.dictionary(keys, fc.jsonValue({ stringUnit: 'grapheme' }))
    await fc.assert(
      fc.asyncProperty(objects, fc.nat(3), async (object, indent) => {
        const text = JSON.stringify(object, null, indent)
        fc.pre(!/\\u0000|"(?:id|number|[^"]*_id)":/.test(text))
        expect(await read(text)).toEqual(JSON.parse(text))
      }),
      { numRuns: 500 },
    )
  })

  test('whatever text comes, what is read is what JSON.parse reads', async () => {
    const pieces = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '\\',
      'a',
      '"a"',
      '"b":',
      '1',
      '-',
      'true',
      'null',
      '\\u0041',
      ' ',
      'n',
      '\n',
    )
    await fc.assert(
      fc.asyncProperty(fc.array(pieces, { maxLength: 30 }), async (parts) => {
        const text = `{${parts.join('')}}`
        const result = await read(text)
        const parsed = parse(text)
        // A fault of ours may be found before an error of syntax; the other way round nothing may be made up.
        const right = typeof result === 'object' ? result : result === 'not_json' ? undefined : parsed
        expect(parsed).toEqual(right)
      }),
      { numRuns: 3_000 },
    )
  })
})
