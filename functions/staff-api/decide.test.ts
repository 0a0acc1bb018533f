import fc from 'fast-check'
import { expect, test } from 'vitest'
import { reasons } from '#shared/workflow/reasons.ts'
import { decideAccess, decideCancel, decideRetry, oneLine, visibleProjects, type Held, type Role } from './decide.ts'

const roles: readonly Role[] = ['viewer', 'operator', 'admin']
const project = fc.constantFrom('a', 'b', 'c', null)
const held = fc.array(fc.record({ role: fc.constantFrom(...roles), project }), { maxLength: 5 })
const need = fc.record({ role: fc.constantFrom(...roles), project })
const reaches = (each: Held, wanted: Held) =>
  (each.project === null || each.project === wanted.project) && roles.indexOf(each.role) >= roles.indexOf(wanted.role)

test('somebody may what one of their roles allows there, and nothing else', () => {
  fc.assert(
    fc.property(held, need, (has, wants) => {
      expect(decideAccess(has, wants) === 'allowed').toBe(has.some((each) => reaches(each, wants)))
    }),
  )
})

test('one more role never takes anything away', () => {
  fc.assert(
    fc.property(held, held, need, (has, more, wants) => {
      const order = ['invisible', 'forbidden', 'allowed']
      const before = order.indexOf(decideAccess(has, wants))
      expect(order.indexOf(decideAccess([...has, ...more], wants))).toBeGreaterThanOrEqual(before)
    }),
  )
})

test('what somebody may do on one project says nothing about all of them', () => {
  expect(decideAccess([{ role: 'admin', project: 'a' }], { role: 'viewer', project: null })).toBe('invisible')
})

test('a list shows exactly the projects of which somebody may see something', () => {
  fc.assert(
    fc.property(held, fc.constantFrom('a', 'b', 'c'), (has, one) => {
      const sees = visibleProjects(has)
      const visible = sees === 'all' || sees.includes(one)
      expect(visible).toBe(decideAccess(has, { role: 'viewer', project: one }) === 'allowed')
    }),
  )
})

test('a word that is no role is worth nothing', () => {
  const has = [{ role: 'owner' as Role, project: null }]
  expect(decideAccess(has, { role: 'viewer', project: 'a' })).toBe('invisible')
  expect(visibleProjects(has)).toEqual([])
})

test('only what is under way is cancelled', () => {
  expect(decideCancel('running', true)).toBe('cancel')
  expect(decideCancel('cancelled', false)).toBe('cancelled')
  expect(decideCancel('succeeded', false)).toBe('over')
})

const facts = { state: 'failed', reason: 'agent_lost', connected: true, newer: false, active: false } as const

test('a failed run is retried unless something stands against it', () => {
  expect(decideRetry(facts)).toBe('retry')
  expect(decideRetry({ ...facts, state: 'cancelled' })).toBe('not_failed')
  expect(decideRetry({ ...facts, state: 'succeeded' })).toBe('not_failed')
  expect(decideRetry({ ...facts, connected: false })).toBe('not_connected')
  expect(decideRetry({ ...facts, active: true, newer: true })).toBe('run_active')
  expect(decideRetry({ ...facts, newer: true })).toBe('newer_run')
})

test('what the policy refused, or a person has to look at, is not tried again with the same input', () => {
  for (const reason of [
    'secret_found',
    'change_refused',
    'branch_moved',
    'input_invalid',
    'repository_gone',
  ] as const) {
    expect(Object.keys(reasons)).toContain(reason)
    expect(decideRetry({ ...facts, reason })).toBe('not_retryable')
  }
  expect(decideRetry({ ...facts, reason: null })).toBe('not_retryable')
})

test('what a person wrote is one line without control characters', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (text) => {
      expect(oneLine(text)).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}]/u)
      expect(oneLine(text).length).toBeLessThanOrEqual(300)
    }),
  )
  expect(oneLine('too\u001b[31m dear\nfor now')).toBe('too [31m dear for now')
})
