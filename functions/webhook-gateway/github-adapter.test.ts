import { CloudEvent } from 'cloudevents'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { attributesOf } from './github-adapter.ts'
import { documented, expected, recorded } from './testing/adapter-document.ts'

const NOW = '2026-01-01T00:00:00.000Z'

describe('the CloudEvents GitHub adapter', () => {
  for (const event of documented) {
    const bodies = recorded.filter((each) => each.event === event)
    test(`${event}: all ${bodies.length} recorded bodies get what the document says`, () => {
      for (const { body } of bodies) {
        const want = expected(event, body)
        const owner = (body['organization'] ?? body['sender']) as { url: string } | undefined
        expect(attributesOf(event, body, NOW)).toEqual({
          source: want?.source ?? owner?.url,
          type: want?.type,
          subject: want?.subject ?? '',
          time: want?.time ?? NOW,
        })
      }
    })
  }

  test('an event without a section is of its owner, without a subject, now', () => {
    const unlisted = recorded.filter(({ event }) => !documented.includes(event))
    expect(unlisted.length).toBeGreaterThan(50)
    for (const { event, body } of unlisted) {
      const word = body['action'] as string | undefined
      const action = word !== undefined && /^[a-z_]+$/.test(word) ? `.${word}` : ''
      const owner = (body['repository'] ?? body['organization'] ?? body['sender']) as { url: string }
      expect(attributesOf(event, body, NOW)).toEqual({
        source: owner.url,
        type: `com.github.${event}${action}`,
        subject: '',
        time: NOW,
      })
    }
  })

  test('a ping without a repository is of its organization, else of the hook', () => {
    const ping = {
      zen: 'z',
      hook_id: 5,
      hook: { url: 'https://api.github.com/hooks/5', updated_at: '2026-01-02T03:04:05Z' },
    }
    const organization = { url: 'https://api.github.com/orgs/octo' }
    const rest = { type: 'com.github.ping', subject: '5', time: '2026-01-02T03:04:05Z' }
    expect(attributesOf('ping', { ...ping, organization }, NOW)).toEqual({ source: organization.url, ...rest })
    expect(attributesOf('ping', ping, NOW)).toEqual({ source: ping.hook.url, ...rest })
  })

  const issue = { number: 7, updated_at: '2026-01-02T03:04:05Z' }
  const repository = { url: 'https://api.github.com/repos/o/r' }
  test.for([
    ['an action that is no word', { action: 'a b', issue, repository }],
    ['no action', { issue, repository }],
    ['an action that is no text', { action: ['labeled'], issue, repository }],
    ['nothing that it belongs to', { action: 'labeled', issue }],
    ['a source with a space', { action: 'labeled', issue, repository: { url: 'https://a b' } }],
    ['a source with a line break', { action: 'labeled', issue, repository: { url: 'https://a\nce-type: x' } }],
    [
      'a source only inherited',
      { action: 'labeled', issue, repository: JSON.parse('{"__proto__":{"url":"https://a"}}') as object },
    ],
    ['a subject with a control character', { action: 'labeled', issue: { number: '7\u0001' }, repository }],
  ] as const)('there are no attributes with %s', ([, body]) => {
    expect(attributesOf('issues', body, NOW)).toBeUndefined()
  })

  test('whatever has attributes makes an event that the SDK takes', () => {
    const uriParts = fc.constantFrom(
      'http',
      'https',
      ':',
      '//',
      '/',
      'a',
      'b.c',
      '%',
      '%4',
      '%41',
      '[',
      ']',
      '?',
      '#',
      '@',
      ':80',
      ' ',
      '_',
      '..',
      '\u00fc',
    )
    const url = fc.array(uriParts, { maxLength: 8 }).map((parts) => `https://${parts.join('')}`)
    const two = fc.nat(70).map((value) => String(value).padStart(2, '0'))
    const time = fc
      .tuple(two, two, two, two, two, fc.constantFrom('Z', '+00:00', '-24:00', '+05:75', '.5Z', '.1234567-03:30'))
      .map(([month, day, hour, minute, second, zone]) => `2026-${month}-${day}T${hour}:${minute}:${second}${zone}`)
    const subject = fc.oneof(fc.string({ unit: 'grapheme' }), fc.integer())
    fc.assert(
      fc.property(fc.oneof(url, fc.webUrl()), subject, time, (address, number, updated_at) => {
        const body = { action: 'labeled', issue: { number, updated_at }, repository: { url: address } }
        const { subject: about = '', ...attributes } = attributesOf('issues', body, NOW) ?? {}
        const event = { id: '1', ...(about === '' ? {} : { subject: about }), ...attributes }
        fc.pre('source' in event)
        expect(new CloudEvent(event as ConstructorParameters<typeof CloudEvent>[0]).type).toBe(
          'com.github.issues.labeled',
        )
      }),
      { numRuns: 3_000 },
    )
  })

  test.for(['yesterday', '2026-13-01T00:00:00Z', '2026-01-01', null, {}, -1, 1e12])(
    'a time of %j is the time of arrival',
    (updated_at) => {
      const attributes = attributesOf(
        'issues',
        { action: 'labeled', issue: { number: 7, updated_at }, repository },
        NOW,
      )
      expect(attributes?.time).toBe(NOW)
    },
  )
})
