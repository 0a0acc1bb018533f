import { describe, expect } from 'vitest'
import { gates } from './testing/gate.ts'
import { test } from './testing/test.ts'

const { forge, gate } = gates()

describe('an approval label', () => {
  test('of somebody who may approves what the comment showed before, once for its event', async ({ db }) => {
    const world = await gate(db)
    await world.shown(10)
    const event = await forge.label(world.issue.number, 'approve:dev', 'walt')
    const take = () => world.take('issues', event, { labelgroup: 'approval' })
    expect((await take()).outcome).toBe('approve: approved')
    expect((await world.runNow()).state).toBe('queued')
    expect((await take()).outcome).toBe('decided before')
    expect(await world.decisions()).toMatchObject([{ source: 'label', label: 'approve:dev', refusal: null }])
  })

  test.for([
    ['maria', 'self_approval'],
    ['theo', 'not_eligible'],
    ['helper-bot', 'bot'],
  ] as const)('L4 of %s does not count: %s; the run goes on waiting', async ([who, refusal], { db }) => {
    const world = await gate(db)
    await world.shown(10)
    expect((await world.label(who)).outcome).toBe(`does not count: ${refusal}`)
    expect((await world.runNow()).state).toBe('waiting_approval')
    expect(await world.decisions()).toMatchObject([{ actor_login: who, refusal, label: 'approve:dev' }])
  })

  test('L4 approves nothing where the policy maps none', async ({ db }) => {
    const world = await gate(db, { policy: { label: null } })
    await world.shown(10)
    expect((await world.label('walt')).outcome).toBe('does not count: label_not_mapped')
    expect((await world.runNow()).state).toBe('waiting_approval')
  })

  test('P-3 approves nothing that the comment had not shown before, or showed of another run', async ({ db }) => {
    const world = await gate(db)
    expect((await world.label('walt')).outcome).toBe('does not count: not_shown')
    await forge.unlabel(world.issue.number, 'approve:dev')
    await world.shown(-60)
    expect((await world.label('walt')).outcome).toBe('does not count: not_shown')
    await forge.unlabel(world.issue.number, 'approve:dev')
    await db
      .updateTable('comments')
      .set({ approval_digest: 'f'.repeat(64), approval_shown_at: new Date(0) })
      .execute()
    expect((await world.label('walt')).outcome).toBe('does not count: not_shown')
    expect((await world.runNow()).state).toBe('waiting_approval')
  })

  test('whose event the forge does not show yet comes again', async ({ db }) => {
    const world = await gate(db)
    await world.shown(10)
    await forge.fault('GET', `issues/${world.issue.number}/events`, { status: 200, body: [] })
    expect(await world.label('walt')).toMatchObject({ status: 503, state: 'pending' })
    await world.sweep()
    expect((await world.runNow()).state).toBe('queued')
  })

  test('of a stage that waits for nothing is nothing', async ({ db }) => {
    const world = await gate(db)
    await db.deleteFrom('approvals').execute()
    expect((await world.label('walt')).outcome).toBe('ignored: nothing was to be approved here')
  })
})
