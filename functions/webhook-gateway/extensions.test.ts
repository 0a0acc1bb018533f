import { describe, expect, test } from 'vitest'
import type { Project } from './decide.ts'
import { extensionsOf } from './extensions.ts'
import { labeled } from './testing/gateway.ts'

const project = (settings: unknown): Project => ({ id: 'p', repositoryId: '42', state: 'connected', settings })
const none = project({})
const named = (name: string) => labeled(42, { label: { name } })

describe('the extensions of an event', () => {
  test('say what a trigger filters on and what keeps order', () => {
    expect(extensionsOf(labeled(42), none)).toEqual({
      provider: 'github',
      project: 'p',
      repository: '42',
      action: 'labeled',
      labelgroup: 'run',
      label: 'run:dev',
      partitionkey: '42#7',
    })
  })

  test('name a renamed label by its default, and a default that was renamed not at all', () => {
    const renamed = project({ labels: { 'run:dev': 'Bitte entwickeln \u00fc' } })
    expect(extensionsOf(named('Bitte entwickeln u\u0308'), renamed)).toMatchObject({
      labelgroup: 'run',
      label: 'run:dev',
    })
    expect(extensionsOf(named('run:dev'), renamed)['label']).toBeUndefined()
  })

  test.for(['bug', 'Run:dev', 'run:dev ', 'run:\u0501ev', 'run:dev\n', ''])('leave out the label %j', (name) => {
    const { label, labelgroup } = extensionsOf(named(name), none)
    expect([label, labelgroup]).toEqual([undefined, undefined])
  })

  test.for([null, [], 'x', { labels: 5 }, { labels: { 'run:dev': 5 } }, { labels: null }])(
    'survive settings of %j',
    (settings) => {
      expect(extensionsOf(labeled(42), project(settings))['label']).toBe('run:dev')
    },
  )

  test('name no label when the event is not about one', () => {
    expect(extensionsOf(labeled(42, { action: 'opened' }), none)['label']).toBeUndefined()
  })

  test('have the number of a pull request, and no key without a number', () => {
    const { issue: _, ...rest } = labeled(42)
    expect(extensionsOf({ ...rest, pull_request: { number: 8 } }, none)['partitionkey']).toBe('42#8')
    expect(extensionsOf(rest, none)['partitionkey']).toBeUndefined()
  })

  test('leave out an action that is free text', () => {
    expect(extensionsOf(labeled(42, { action: 'on-demand test' }), undefined)).toMatchObject({
      action: undefined,
      project: undefined,
    })
  })
})
