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

  test('say the verdict of a review, in the words of the forge and no other', () => {
    const verdict = (state: unknown) => extensionsOf({ review: { state } }, none)['reviewstate']
    expect(verdict('changes_requested')).toBe('changes_requested')
    for (const state of ['Changes_requested', 'x y', '', 5, null, ['approved']]) expect(verdict(state)).toBeUndefined()
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

  const said = (body: string, change: { comment?: object; sender?: object; action?: string } = {}) => {
    const time = '2026-01-02T03:04:05Z'
    const comment = { id: 1, body, user: { id: 5 }, created_at: time, updated_at: time, ...change.comment }
    const sender = { id: 5, type: 'User', ...change.sender }
    return extensionsOf({ ...labeled(42), action: change.action ?? 'created', comment, sender }, none)['command']
  }

  test('name the command that a comment is', () => {
    expect(said('/approve 0123456789ab')).toBe('approve')
    expect(said('/approve 0123456789ab\r\n')).toBe('approve')
    expect(said('/deny not now')).toBe('deny')
  })

  test.for<[string, Parameters<typeof said>]>([
    ['quoted', ['> /approve 0123456789ab']],
    ['in a code block', ['```\n/approve 0123456789ab\n```']],
    ['beside other text', ['Fine.\n/approve 0123456789ab']],
    ['with a short digest', ['/approve 0123456789a']],
    ['without a reason', ['/deny ']],
    ['of two lines', ['/deny one\ntwo']],
    ['edited', ['/approve 0123456789ab', { comment: { updated_at: '2026-01-02T03:04:06Z' } }]],
    ['in an edit', ['/approve 0123456789ab', { action: 'edited' }]],
    ['of a bot', ['/approve 0123456789ab', { sender: { type: 'Bot' } }]],
    ['that somebody else sends', ['/approve 0123456789ab', { sender: { id: 6 } }]],
  ])('P-11 name no command that is %s', ([, args]) => expect(said(...args)).toBeUndefined())
})
