import fc from 'fast-check'
import { expect, test } from 'vitest'
import { problem } from '#shared/edge/problem.ts'

test('a problem says status, code and title, and a detail that fits', async () => {
  const answer = problem({ status: 409, code: 'fenced', title: 'Too late', detail: 'Stop.' }, { 'retry-after': '5' })
  expect([answer.status, answer.headers.get('content-type'), answer.headers.get('retry-after')]).toEqual([
    409,
    'application/problem+json',
    '5',
  ])
  expect(await answer.json()).toEqual({
    type: 'urn:codex-k8s:fenced',
    title: 'Too late',
    status: 409,
    code: 'fenced',
    detail: 'Stop.',
  })
})

test('no detail makes it larger than 512 bytes: one that would is left out whole', async () => {
  const texts = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 600 }),
    fc.string({ unit: fc.constantFrom('ä', '\u{1f600}', '\n', '"', '\ud800'), maxLength: 300 }),
  )
  await fc.assert(
    fc.asyncProperty(texts, async (detail) => {
      const body = await problem({ status: 422, code: 'unprocessable', title: 'Cannot be handled', detail }).text()
      expect(Buffer.byteLength(body)).toBeLessThanOrEqual(512)
      const read = JSON.parse(body) as { detail?: string; code: string }
      expect(read.code).toBe('unprocessable')
      expect([undefined, detail]).toContain(read.detail)
    }),
  )
})
