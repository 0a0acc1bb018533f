import { expect, test } from 'vitest'
import { playBroker, post, settled, startFunction, trigger } from './testing.ts'

test('an event is answered 202 before anybody has handled it', async () => {
  const handled = Promise.withResolvers<void>()
  const slow = await startFunction(async () => handled.promise.then(settled))
  const broker = await playBroker([trigger('slow')], { slow })
  expect(await post(broker)).toBe(202)
  expect(broker.ledger.counts()).toMatchObject({ accepted: 1, delivered: 0 })
  handled.resolve()
  await broker.idle()
  expect(broker.ledger.counts()).toMatchObject({ accepted: 1, delivered: 1 })
})

test('a subscriber gets the event in the binary mode with its bytes untouched', async () => {
  const one = await startFunction()
  const broker = await playBroker([trigger('one')], { one }, { now: () => new Date(0) })
  await post(broker, { label: 'caf%C3%A9' }, '{"n":  1.0}')
  await broker.idle()
  const [{ body, headers }] = one.received as [(typeof one.received)[0]]
  expect(body).toBe('{"n":  1.0}')
  expect(Object.fromEntries([...headers].filter(([name]) => name.startsWith('ce-')))).toEqual({
    'ce-specversion': '1.0',
    'ce-id': '1',
    'ce-source': '/test',
    'ce-type': 'tested',
    'ce-label': 'caf%C3%A9',
    'ce-knativearrivaltime': '1970-01-01T00:00:00.000Z',
  })
  expect([headers.get('content-type'), headers.get('prefer')]).toEqual(['application/json', 'reply'])
})

test('an event in the structured mode is delivered in the binary one', async () => {
  const one = await startFunction()
  const broker = await playBroker([trigger('one')], { one })
  const event = {
    specversion: '1.0',
    id: '7',
    source: '/s',
    type: 'tested',
    number: 3,
    datacontenttype: 'application/json',
    data: { a: 'ä' },
  }
  const send = (more: object) =>
    fetch(broker.url, {
      method: 'POST',
      headers: { 'content-type': 'application/cloudevents+json' },
      body: JSON.stringify({ ...event, ...more }),
    })
  expect((await send({})).status).toBe(202)
  expect(
    (await send({ id: '8', data: undefined, data_base64: 'AP8=', datacontenttype: 'application/octet-stream' })).status,
  ).toBe(202)
  await broker.idle()
  const text = one.received.find(({ headers }) => headers.get('ce-id') === '7')
  expect([text?.body, text?.headers.get('ce-number'), text?.headers.get('ce-data')]).toEqual(['{"a":"ä"}', '3', null])
  const bytes = one.received.find(({ headers }) => headers.get('ce-id') === '8')
  expect([bytes?.body, bytes?.headers.get('content-type')]).toEqual(['\0\ufffd', 'application/octet-stream'])
})

test.for<[string, RequestInit]>([
  ['no event at all', { body: '{}' }],
  ['no type', { headers: { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-source': '/s' } }],
  ['no id', { headers: { 'ce-specversion': '1.0', 'ce-type': 't', 'ce-source': '/s' } }],
  ['another version', { headers: { 'ce-specversion': '2.0', 'ce-id': '1', 'ce-type': 't', 'ce-source': '/s' } }],
  [
    'an extension with a dash',
    { headers: { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-type': 't', 'ce-source': '/s', 'ce-a-b': 'x' } },
  ],
  ['structured, broken JSON', { headers: { 'content-type': 'application/cloudevents+json' }, body: '{' }],
])('a malformed event is answered 400: %s', async ([, request]) => {
  const broker = await playBroker([], {})
  expect((await fetch(broker.url, { method: 'POST', ...request })).status).toBe(400)
  expect(broker.ledger.counts().accepted).toBe(0)
})

test('an unknown broker is answered 404', async () => {
  const broker = await playBroker([], {})
  expect(await post({ ...broker, url: broker.url.replace(/default$/, 'other') })).toBe(404)
})

test('only the triggers whose filter matches get the event', async () => {
  const [one, two, all] = [await startFunction(), await startFunction(), await startFunction()]
  const broker = await playBroker(
    [
      trigger('one', 'filter: { attributes: { type: tested, labelgroup: run } }'),
      trigger('two', 'filter: { attributes: { type: tested } }, filters: [{ exact: { type: other } }]'),
      trigger('all'),
    ],
    { one, two, all },
  )
  await post(broker, { labelgroup: 'run' })
  await post(broker, { type: 'other' })
  await broker.idle()
  expect(one.received.map(({ headers }) => headers.get('ce-type'))).toEqual(['tested'])
  expect(two.received.map(({ headers }) => headers.get('ce-type'))).toEqual(['other'])
  expect(all.received).toHaveLength(2)
})

test('a busy port is an error of the start', async () => {
  const first = await playBroker([], {})
  await expect(playBroker([], {}, { port: Number(new URL(first.url).port) })).rejects.toThrow('EADDRINUSE')
})

test('the clock posts to its sink when it is asked to and at its pace, not through the broker', async () => {
  const ticked = Promise.withResolvers<void>()
  const reconciler = await startFunction((_, nth) => (nth === 2 && ticked.resolve(), settled()))
  const ping =
    'kind: PingSource\nmetadata: { name: sweep }\nspec: { sink: { ref: { kind: Service, name: reconciler }, uri: /sweep } }'
  const broker = await playBroker([ping, trigger('reconciler')], { reconciler }, { pingEverySeconds: 0.02 })
  await broker.ping()
  await ticked.promise
  const [{ path, headers }] = reconciler.received as [(typeof reconciler.received)[0]]
  expect([path, headers.get('ce-type'), headers.get('ce-source')]).toEqual([
    '/sweep',
    'dev.knative.sources.ping',
    '/apis/v1/namespaces/local/pingsources/sweep',
  ])
  expect(broker.ledger.entries).toEqual([])
})
