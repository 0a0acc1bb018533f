import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { labelGroup, labels, renamesIn } from '#shared/workflow/labels.ts'

describe('the set of labels', () => {
  test('has 28 that ask for a run, each with a colour and a description that a forge takes', () => {
    expect(labels.filter(({ group }) => group === 'run')).toHaveLength(28)
    expect(new Set(labels.map(({ name }) => name)).size).toBe(labels.length)
    for (const { name, color, description } of labels) {
      expect(name.length).toBeLessThanOrEqual(50)
      expect(color).toMatch(/^[0-9a-f]{6}$/)
      expect(description.length).toBeLessThanOrEqual(100)
    }
  })

  test('knows each of its names, and model and effort in both forms', () => {
    for (const { name, group } of labels) expect(labelGroup(name, {})).toEqual({ group, label: name })
    expect(labelGroup('ai-model:gpt-5.4', {})).toEqual({ group: 'ai', label: 'ai-model:gpt-5.4' })
    expect(labelGroup('[ai-model-gpt-5.4]', {})).toEqual({ group: 'ai', label: 'ai-model:gpt-5.4' })
    expect(labelGroup('[ai-reasoning-extra-high]', {})).toEqual({ group: 'ai', label: 'ai-effort:extra-high' })
  })

  test.for([
    'ai-model:gpt]',
    '[ai-model-gpt',
    'ai-model:',
    'ai-model:GPT',
    'ai-model:-x',
    'ai-model:a b',
    '[ai-reasoning-max]',
    '__proto__',
    'constructor',
    '',
  ])('L5 %j means nothing', (name) => expect(labelGroup(name, {})).toBeUndefined())

  test("a project's own name means what it stands for, in either normal form; the default then means nothing", () => {
    const renames = { 'run:dev': 'ausf\u00fchren' }
    expect(labelGroup('ausf\u00fchren', renames)?.label).toBe('run:dev')
    expect(labelGroup('ausfu\u0308hren', renames)?.label).toBe('run:dev')
    expect(labelGroup('Ausf\u00fchren', renames)).toBeUndefined()
    expect(labelGroup('run:dev', renames)).toBeUndefined()
    expect(labelGroup('x', { 'no label of ours': 'x' })).toBeUndefined()
  })

  test('L5 no other name means anything: one letter more, less, other, or in another case', () => {
    const name = fc.constantFrom(...labels.map((label) => label.name))
    const letter = fc.oneof(
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }),
      fc.constantFrom(' ', '\u200b', '\u0301', ':', '\n'),
    )
    const near = fc.tuple(name, fc.nat(30), fc.constantFrom(0, 1), letter).map(([text, at, cut, put]) => {
      const place = at % (text.length + 1)
      return text.slice(0, place) + put + text.slice(place + cut)
    })
    const meaning = near.map((changed) => ({ changed, known: labelGroup(changed, {}) }))
    fc.assert(
      fc.property(meaning, ({ changed, known }) => {
        // Only by being, letter for letter, another name of the set, or a model's.
        expect([undefined, changed.normalize('NFC')]).toContain(known?.group === 'ai' ? undefined : known?.label)
      }),
    )
    for (const { name: text } of labels) expect(labelGroup(text.toUpperCase(), {})).toBeUndefined()
  })

  test('a rename never gives a name two meanings, and never throws', () => {
    const names = fc.dictionary(fc.oneof(fc.constantFrom(...labels.map(({ name }) => name)), fc.string()), fc.string())
    fc.assert(
      fc.property(names, fc.string({ unit: 'grapheme' }), (renames, shown) => {
        const known = labelGroup(shown, renames)
        if (known === undefined || known.group === 'ai') return
        const own = Object.hasOwn(renames, known.label) ? renames[known.label] : known.label
        expect(own?.normalize('NFC')).toBe(shown.normalize('NFC'))
      }),
    )
  })

  test('settings that hold no names hold none', () => {
    expect(renamesIn({})).toEqual({})
    expect(renamesIn({ labels: { 'run:dev': 'x', 'run:qa': 5, 'run:ops': null } })).toEqual({ 'run:dev': 'x' })
  })
})
