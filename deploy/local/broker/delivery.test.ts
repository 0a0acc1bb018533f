import { describe, expect, test } from 'vitest'
import { playBroker, post, settled, startFunction, trigger } from './testing.ts'

// With somewhere else to go, which a broker does not follow.
const answer = (status: number) => new Response(null, { status, headers: { location: '/elsewhere' } })

describe('an answer', () => {
  test.for([200, 202, 204, 299])('%i without a body settles the event', async (status) => {
    const one = await startFunction(() => answer(status))
    const broker = await playBroker([trigger('one')], { one })
    await post(broker)
    await broker.idle()
    expect(broker.ledger.counts()).toMatchObject({ attempted: 1, delivered: 1, 'dead-lettered': 0 })
  })

  test.for([404, 408, 409, 429, 500, 503])('%i is tried again, then a dead letter', async (status) => {
    const [one, dead] = [await startFunction(() => answer(status)), await startFunction()]
    const broker = await playBroker([trigger('one')], { one, dead })
    await post(broker)
    await broker.idle()
    expect(broker.ledger.counts()).toMatchObject({ attempted: 3, delivered: 0, 'dead-lettered': 1 })
  })

  test.for([301, 400, 401, 413, 422])('%i is a dead letter at once', async (status) => {
    const [one, dead] = [await startFunction(() => answer(status)), await startFunction()]
    const broker = await playBroker([trigger('one')], { one, dead })
    await post(broker)
    await broker.idle()
    expect(broker.ledger.counts()).toMatchObject({ attempted: 1, 'dead-lettered': 1 })
  })

  test('2xx with a body that is no event counts as 502', async () => {
    const [one, dead] = [await startFunction(() => Response.json({ ok: true })), await startFunction()]
    const broker = await playBroker([trigger('one')], { one, dead })
    await post(broker)
    await broker.idle()
    const attempts = broker.ledger.entries.filter(({ kind }) => kind === 'attempted')
    expect(attempts.map(({ status }) => status)).toEqual([502, 502, 502])
    expect(dead.received).toHaveLength(1)
  })

  test('that comes after the timeout is none, and the event is tried again', async () => {
    const first = Promise.withResolvers<Response>()
    const one = await startFunction((_, nth) => (nth === 1 ? first.promise : settled()))
    const broker = await playBroker([trigger('one').replace('retry: 2', 'retry: 2, timeout: PT0.05S')], { one })
    await post(broker)
    await broker.idle()
    first.resolve(settled())
    expect(broker.ledger.entries.map(({ kind, status }) => [kind, status])).toEqual([
      ['accepted', undefined],
      ['attempted', 0],
      ['attempted', 202],
      ['delivered', 202],
    ])
  })
})

test('a function that is down gets the event once it is up', async () => {
  const one = await startFunction()
  let asked = 0
  const resolve = () => ((asked += 1) < 3 ? 'http://127.0.0.1:1' : one.url)
  const broker = await playBroker([trigger('one')], {}, { resolve })
  await post(broker)
  await broker.idle()
  expect(one.received).toHaveLength(1)
  expect(broker.ledger.counts()).toMatchObject({ attempted: 3, delivered: 1 })
})

test('the waits double from the delay of the trigger', async () => {
  const times: number[] = []
  const one = await startFunction((_, nth) => (times.push(performance.now()), nth < 3 ? answer(503) : settled()))
  const broker = await playBroker([trigger('one')], { one }, { backoffScale: 0.2 })
  await post(broker)
  await broker.idle()
  const [first = 0, second = 0, third = 0] = times
  expect(second - first).toBeGreaterThanOrEqual(39)
  expect(third - second).toBeGreaterThanOrEqual(79)
})

describe('a reply', () => {
  const reply = (type: string) =>
    new Response('{"b":  2}', {
      headers: {
        'ce-specversion': '1.0',
        'ce-id': 'r',
        'ce-source': '/r',
        'ce-type': type,
        'content-type': 'application/json',
      },
    })

  test('is published, and the event is settled', async () => {
    const [one, two] = [await startFunction(() => reply('replied')), await startFunction()]
    const broker = await playBroker(
      [
        trigger('one', 'filter: { attributes: { type: tested } }'),
        trigger('two', 'filter: { attributes: { type: replied } }'),
      ],
      { one, two },
    )
    await post(broker)
    await broker.idle()
    expect(two.received.map(({ headers, body }) => [headers.get('ce-id'), body])).toEqual([['r', '{"b":  2}']])
    expect(broker.ledger.counts()).toMatchObject({ accepted: 2, delivered: 2 })
  })

  test('that goes in circles ends after 255 hops as a dead letter', async () => {
    const [one, dead] = [await startFunction(() => reply('tested')), await startFunction()]
    const broker = await playBroker([trigger('one')], { one, dead })
    await post(broker)
    await broker.idle()
    expect(one.received).toHaveLength(255)
    expect(dead.received.map(({ headers }) => headers.get('ce-knativeerrorcode'))).toEqual(['400'])
  })

  test('that is a malformed event counts as 502', async () => {
    const [one, dead] = [await startFunction(() => reply('')), await startFunction()]
    const broker = await playBroker([trigger('one')], { one, dead })
    await post(broker)
    await broker.idle()
    expect(broker.ledger.counts()).toMatchObject({ accepted: 1, attempted: 3, 'dead-lettered': 1 })
  })
})

test('an event with its hops used up is answered 400', async () => {
  const broker = await playBroker([], {})
  expect(await post(broker, { knativebrokerttl: '1' })).toBe(400)
  expect(await post(broker, { knativebrokerttl: '2' })).toBe(202)
})
