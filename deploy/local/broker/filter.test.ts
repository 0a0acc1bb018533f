import { describe, expect, test } from 'vitest'
import { attributesFilter, dialectFilter } from './filter.ts'

const event = { type: 'com.github.issues.labeled', labelgroup: 'run', empty: '' }

describe('filter.attributes', () => {
  test.for([
    [{}, true],
    [{ type: 'com.github.issues.labeled' }, true],
    [{ type: 'com.github.issues.labeled', labelgroup: 'run' }, true],
    [{ type: 'com.github.issues.labeled', labelgroup: 'other' }, false],
    [{ type: '' }, true],
    [{ absent: '' }, false],
    [{ absent: 'x' }, false],
  ] as const)('%j matches: %j', ([attributes, expected]) => {
    expect(attributesFilter(attributes)(event)).toBe(expected)
  })
})

describe('filters', () => {
  test.for([
    [{ exact: { type: 'com.github.issues.labeled', labelgroup: 'run' } }, true],
    [{ exact: { type: 'com.github.issues' } }, false],
    [{ exact: { absent: 'x' } }, false],
    [{ prefix: { type: 'com.github.' } }, true],
    [{ prefix: { type: 'github.' } }, false],
    [{ suffix: { type: '.labeled' } }, true],
    [{ suffix: { type: '.label' } }, false],
    [{ not: { exact: { labelgroup: 'run' } } }, false],
    [{ not: { exact: { absent: 'x' } } }, true],
    [{ all: [{ prefix: { type: 'com.' } }, { exact: { labelgroup: 'run' } }] }, true],
    [{ all: [{ prefix: { type: 'com.' } }, { exact: { labelgroup: 'no' } }] }, false],
    [{ any: [{ exact: { type: 'no' } }, { exact: { labelgroup: 'run' } }] }, true],
    [{ any: [{ exact: { type: 'no' } }] }, false],
  ] as const)('%j matches: %j', ([filter, expected]) => {
    expect(dialectFilter(filter)(event)).toBe(expected)
  })

  test('two dialects in one item are refused', () => {
    expect(() => dialectFilter({ exact: { type: 'a' }, prefix: { type: 'b' } })).toThrow(
      'a filter has exactly one dialect',
    )
  })
})
