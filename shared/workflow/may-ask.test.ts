import { describe, expect, test } from 'vitest'
import { askPolicy, mayAsk, type Permission } from '#shared/workflow/may-ask.ts'

const actor = (permission: Permission, more: { id?: string; type?: string; now?: string } = {}) => ({
  id: more.id ?? '1001',
  type: more.type ?? 'User',
  now: { actorId: more.now ?? '1001', permission },
})
const all: Permission[] = ['none', 'read', 'triage', 'write', 'maintain', 'admin']

describe('who may ask', () => {
  test('L1 people with write access or more, and a project may ask for more', () => {
    const allowed = (least: Permission) => all.filter((permission) => mayAsk(actor(permission), { least, bots: [] }))
    expect(allowed('write')).toEqual(['write', 'maintain', 'admin'])
    expect(allowed('maintain')).toEqual(['maintain', 'admin'])
    expect(allowed('admin')).toEqual(['admin'])
  })

  test('L2 nobody under another id than the login has now, no bot that is not listed, whatever the right', () => {
    const policy = { least: 'write', bots: ['77'] } as const
    expect(mayAsk(actor('admin', { now: '2' }), policy)).toBe(false)
    expect(mayAsk(actor('admin', { now: '' }), policy)).toBe(false)
    for (const type of ['Bot', 'Organization', 'Mannequin', 'user', ''])
      expect(mayAsk(actor('admin', { type }), policy)).toBe(false)
    expect(mayAsk(actor('none', { id: '77', type: 'Bot' }), policy)).toBe(true)
    expect(mayAsk(actor('none', { id: '7', type: 'Bot' }), policy)).toBe(false)
  })

  test('a word that is no right grants nothing', () => {
    expect(mayAsk(actor('owner' as Permission), { least: 'write', bots: [] })).toBe(false)
    expect(mayAsk(actor('admin'), { least: 'everybody' as Permission, bots: [] })).toBe(false)
  })
})

describe('the policy in the settings of a project', () => {
  test.for<[string, object, { least: string; bots: string[] }]>([
    ['nothing', {}, { least: 'write', bots: [] }],
    ['more', { ask: { least: 'admin', bots: ['7', 8] } }, { least: 'admin', bots: ['7', '8'] }],
    ['less', { ask: { least: 'read' } }, { least: 'write', bots: [] }],
    ['a text where a list should be', { ask: { bots: '1001' } }, { least: 'write', bots: [] }],
    ['another word', { ask: { least: 'everybody' } }, { least: 'everybody', bots: [] }],
  ])('that says %s', ([, settings, policy]) => {
    expect(askPolicy(settings)).toEqual(policy)
  })
})
