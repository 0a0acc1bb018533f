import { describe, expect, test } from 'vitest'
import { isBodyOf, shapeOf } from './shapes.ts'
import { recorded } from './testing/adapter-document.ts'

describe('the shape of a body', () => {
  const events = [...new Set(recorded.map(({ event }) => event))]

  test(`W7: each of ${recorded.length} recorded bodies passes as its own event and as none of the ${events.length - 1} others`, () => {
    for (const { event, body } of recorded) {
      expect(
        events.filter((each) => isBodyOf(each, body)),
        `a body of ${event}`,
      ).toEqual([event])
    }
  })

  test('W7: a body that we recognise passes under no name that we do not know', () => {
    expect(recorded.filter(({ body }) => isBodyOf('brand_new', body))).toEqual([])
  })

  test('a new event passes under its own name and under none that has a shape of its own', () => {
    const body = { action: 'created', brand_new: {}, repository: {}, sender: {} }
    expect(shapeOf(body)).toBeUndefined()
    expect(isBodyOf('brand_new', body)).toBe(true)
    expect(isBodyOf('issues', body)).toBe(false)
    expect(isBodyOf('push', body)).toBe(false)
  })

  test('a plain event that has grown a member still passes', () => {
    expect(isBodyOf('repository', { action: 'edited', repository: {}, sender: {}, novelty: 1 })).toBe(true)
  })

  test('inherited members count for nothing', () => {
    const body = JSON.parse('{"action":"labeled","repository":{},"__proto__":{"issue":{"number":1}}}') as Record<
      string,
      unknown
    >
    expect(isBodyOf('issues', body)).toBe(false)
  })
})
