import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readEvent } from '#shared/edge/read-event.ts'
import { PermanentError } from '#shared/errors.ts'

const post = (headers: Readonly<Record<string, string>>, body: string | Uint8Array) =>
  new Request('http://function/', {
    method: 'POST',
    headers,
    body: typeof body === 'string' ? body : new Uint8Array(body),
  })

/** Text that a header carries after percent-encoding: any, but NUL, which no row of ours has. */
const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }).filter((value) => !value.includes('\0'))

const structured = { 'content-type': 'application/cloudevents+json; charset=utf-8' }

describe('a posted event', () => {
  test('says the same in both modes, whatever is in its id and source', async () => {
    await fc.assert(
      fc.asyncProperty(text, fc.webPath(), async (id, path) => {
        const source = `/${path}`
        const inBody = post(structured, JSON.stringify({ specversion: '1.0', id, source, type: 'a.b' }))
        const inHeaders = post(
          {
            'ce-specversion': '1.0',
            'ce-id': encodeURIComponent(id),
            'ce-source': encodeURIComponent(source),
            'ce-type': 'a.b',
          },
          '',
        )
        const expected = { source, id }
        expect((await readEvent(inBody)).ref).toEqual(expected)
        expect((await readEvent(inHeaders)).ref).toEqual(expected)
      }),
    )
  })

  test('that is none is refused for good, never an error of another kind', async () => {
    const header = fc.constantFrom(
      'ce-id',
      'ce-source',
      'ce-type',
      'ce-specversion',
      'ce-time',
      'ce-subject',
      'content-type',
    )
    const value = fc.constantFrom(
      '',
      '1.0',
      '0.3',
      'x',
      '%',
      '%00',
      '%ff',
      'application/cloudevents+json',
      'application/json',
      '{}',
      '[]',
    )
    const body = fc.oneof(
      fc.json(),
      fc.string({ unit: 'binary' }),
      fc.uint8Array({ maxLength: 50 }),
      fc.constantFrom(
        '',
        '{',
        '[{}]',
        '"',
        '{"specversion":"1.0"}',
        '{"specversion":"1.0","id":{},"source":[],"type":7}',
      ),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(header, value), { maxLength: 7 }), body, async (headers, bytes) => {
        const isSound = await readEvent(post(Object.fromEntries(headers), bytes)).then(
          ({ ref }) =>
            typeof ref.source === 'string' && typeof ref.id === 'string' && !`${ref.source}${ref.id}`.includes('\0'),
          (error: unknown) => error instanceof PermanentError,
        )
        expect(isSound).toBe(true)
      }),
      { numRuns: 500 },
    )
  })
})
