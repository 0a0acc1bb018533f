import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { age, duration } from './age.ts'
import { harmless, harmlessInQuotes, isHarmful, oneLine } from './harmless.ts'
import { fillTemplate } from './jsonpath.ts'
import { listing, parseFormat, single } from './output.ts'
import { table } from './table.ts'

describe('a terminal', () => {
  test.for([
    ['\u001b]0;owned\u0007', '\\u001b]0;owned\\u0007'],
    ['\u009b31m', '\\u009b31m'],
    ['a\rb', 'a\\u000db'],
    ['\u202eexe.txt', '\\u202eexe.txt'],
    ['zero\u200bwidth', 'zero\\u200bwidth'],
    ['tag\u{e0041}', 'tag\\ue0041'],
    ['line\nand\ttab, ü, 漢字, 🚀', 'line\nand\ttab, ü, 漢字, 🚀'],
  ] as const)('is not told what it would obey (%#)', ([text, shown]) => {
    expect(harmless(text)).toBe(shown)
  })

  test('gets one line for one thing, whatever is in it', () => {
    expect(oneLine('a\r\nb\n\n c\u2028d')).toBe('a b c\\u2028d')
  })

  test('is told nothing harmful by any text in any form, and what is parsed is what was there', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const answer = { items: [{ text }] }
        const how = { none: '', name: () => text, columns: [{ header: 'text', value: () => text }] }
        const print = (form?: string) => listing(form === undefined ? undefined : parseFormat(form), true, answer, how)
        for (const form of [undefined, 'wide', 'name', 'json', 'yaml', 'jsonpath={.items[*].text}'])
          expect(isHarmful(print(form))).toBe(false)
        expect(JSON.parse(print('json'))).toEqual(answer)
        expect(parse(print('yaml'))).toEqual(answer)
      }),
    )
  })

  test('gets JSON whose astral characters are escaped as JSON has them', () => {
    expect(JSON.parse(harmlessInQuotes(JSON.stringify('\u{e0041}'), 'json'))).toBe('\u{e0041}')
  })
})

test('a table is aligned as kubectl does it, and what is empty is said to be', () => {
  const columns = [
    { header: 'name', value: (row: { name: string; age: string | null }) => row.name },
    { header: 'age', value: (row: { name: string; age: string | null }) => row.age },
  ]
  const rows = [
    { name: 'a', age: '2d' },
    { name: 'longer', age: null },
  ]
  expect(table(rows, columns)).toBe('NAME     AGE\na        2d\nlonger   <none>\n')
  expect(table(rows, columns, { headers: false })).toBe('a        2d\nlonger   <none>\n')
})

test.for([
  [0, '0s'],
  [119, '119s'],
  [120, '2m'],
  [185, '3m5s'],
  [600, '10m'],
  [10_799, '179m'],
  [3 * 3_600 + 600, '3h10m'],
  [8 * 3_600, '8h'],
  [47 * 3_600, '47h'],
  [50 * 3_600, '2d2h'],
  [9 * 86_400, '9d'],
] as const)('%i seconds are %s, as kubectl says it', ([seconds, said]) => {
  expect(duration(seconds * 1_000)).toBe(said)
})

test('a time that is none has no age', () => {
  expect(age('yesterday', 0)).toBe('<unknown>')
  expect(age('1970-01-01T00:01:00Z', 0)).toBe('0s')
})

describe('a template', () => {
  const value = {
    items: [
      { id: 'a', n: 1 },
      { id: 'b', n: 2 },
    ],
    next: null,
  }

  test.for([
    ['{.items[*].id}', 'a b'],
    ['.items[0].id', 'a'],
    ['first {.items[0].id}{"\\n"}second {.items[1].n}', 'first a\nsecond 2'],
    ["{.items[?(@.n > 1)].id}{' end'}", 'b end'],
    ['{.nothing}', ''],
    ['{$.items[0]}', '{"id":"a","n":1}'],
  ] as const)('%s is filled as kubectl fills it', ([template, wanted]) => {
    expect(fillTemplate(template, value)).toBe(wanted)
  })

  test.for([
    ['{range}', /is no path/],
    ['{.items', /unclosed/],
    ['{.items[?(@.constructor.constructor("return process")())]}', /is no path/],
  ] as const)('%s is refused', ([template, wanted]) => {
    expect(() => fillTemplate(template, value)).toThrow(wanted)
  })
})

test('a format that is not there is refused with those that are', () => {
  expect(() => parseFormat('xml')).toThrow('allowed formats are: wide,json,yaml,name,jsonpath=...')
  expect(single(parseFormat('name'), {}, 'run/1', () => 'words')).toBe('run/1\n')
})
