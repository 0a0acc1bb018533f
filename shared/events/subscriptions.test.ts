import { describe, expect, test } from 'vitest'
import { consumersOf } from '#shared/events/subscriptions.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'

describe('who consumes what', () => {
  test('every event goes to the ledger, also one that nobody else knows', () => {
    expect(consumersOf('com.github.fork', {})).toEqual(['audit-sink'])
    for (const type of Object.values(EVENT_TYPES)) expect(consumersOf(type, {})).toContain('audit-sink')
  })

  test('L6 a label event wakes the router only with the group of run labels, compared exactly', () => {
    const router = (extensions: Record<string, string>) =>
      consumersOf('com.github.issues.labeled', extensions).includes('label-router')
    expect(router({ labelgroup: 'run' })).toBe(true)
    expect(router({ labelgroup: 'run', other: 'x' })).toBe(true)
    for (const labelgroup of ['state', 'RUN', 'run ', '']) expect(router({ labelgroup })).toBe(false)
    expect(router({})).toBe(false)
  })

  test('a review wakes the router only when it requests changes', () => {
    const router = (extensions: Record<string, string>) =>
      consumersOf('com.github.pull_request_review.submitted', extensions).includes('label-router')
    expect(router({ reviewstate: 'changes_requested' })).toBe(true)
    for (const reviewstate of ['approved', 'commented', 'CHANGES_REQUESTED'])
      expect(router({ reviewstate })).toBe(false)
    expect(router({})).toBe(false)
  })

  test('a type is compared whole, and names of the language are no events', () => {
    for (const type of ['com.github.issues', 'com.github.issues.closed.v1', '*', '__proto__', 'constructor'])
      expect(consumersOf(type, { labelgroup: 'run' })).toEqual(['audit-sink'])
  })

  test('each consumer is named once', () => {
    for (const type of Object.values(EVENT_TYPES)) {
      const consumers = consumersOf(type, { labelgroup: 'run' })
      expect(new Set(consumers).size).toBe(consumers.length)
    }
  })
})
