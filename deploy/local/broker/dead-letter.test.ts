import pino from 'pino'
import { expect, test } from 'vitest'
import { playBroker, post, settled, startFunction, trigger } from './testing.ts'

/** What a dead letter says of the error. */
const errors = (headers: Headers | undefined) =>
  ['dest', 'code', 'data'].map((name) => headers?.get(`ce-knativeerror${name}`))

test('a dead letter is the same event with what went wrong', async () => {
  const [one, dead] = [await startFunction(() => new Response('{"code":"x"}', { status: 422 })), await startFunction()]
  const broker = await playBroker([trigger('one', 'filter: { attributes: { type: tested } }')], { one, dead })
  await post(broker, { labelgroup: 'run' }, '{"n":  1.0}')
  await broker.idle()
  const [letter] = dead.received
  expect([letter?.path, letter?.body]).toEqual(['/dead-letter', '{"n":  1.0}'])
  expect(['id', 'source', 'labelgroup'].map((name) => letter?.headers.get(`ce-${name}`))).toEqual(['1', '/test', 'run'])
  expect(errors(letter?.headers)).toEqual([`${one.url}/`, '422', 'eyJjb2RlIjoieCJ9'])
})

test('an error without a body has empty data', async () => {
  const [one, dead] = [await startFunction(() => new Response(null, { status: 400 })), await startFunction()]
  const broker = await playBroker([trigger('one')], { one, dead })
  await post(broker)
  await broker.idle()
  expect(errors(dead.received[0]?.headers)).toEqual([`${one.url}/`, '400', ''])
})

test('a function that cannot be reached counts as 500 of the filter in between', async () => {
  const dead = await startFunction()
  const broker = await playBroker([trigger('one')], { dead })
  await post(broker)
  await broker.idle()
  const [destination, code, data] = errors(dead.received[0]?.headers)
  expect([destination, code]).toEqual(['http://127.0.0.1:1/', '500'])
  expect(Buffer.from(data ?? '', 'base64').toString()).toMatch(/^dispatch error: /)
})

test('a dead letter says nothing of the error after a timeout or a body that is no event', async () => {
  const never = Promise.withResolvers<Response>()
  const [slow, chatty, dead] = [
    await startFunction(() => never.promise),
    await startFunction(() => new Response('hello')),
    await startFunction(),
  ]
  const broker = await playBroker(
    [trigger('slow').replace('retry: 2', 'retry: 0, timeout: PT0.05S'), trigger('chatty')],
    { slow, chatty, dead },
  )
  await post(broker)
  await broker.idle()
  never.resolve(settled())
  expect(dead.received.map(({ headers }) => errors(headers))).toEqual([
    [null, null, null],
    [null, null, null],
  ])
})

test('an error body that would crash the dispatcher of Knative is reported loudly', async () => {
  const lines: string[] = []
  const log = pino({ level: 'error' }, { write: (line) => void lines.push(line) })
  const [good, bad, dead] = [
    await startFunction(() => new Response('x'.repeat(768), { status: 422 })),
    await startFunction(() => new Response('x'.repeat(769), { status: 422 })),
    await startFunction(),
  ]
  const broker = await playBroker([trigger('good'), trigger('bad')], { good, bad, dead }, { log })
  await post(broker)
  await broker.idle()
  expect(broker.ledger.entries.filter(({ kind }) => kind === 'would-panic').map((entry) => entry.trigger)).toEqual([
    'bad',
  ])
  expect(lines.join()).toContain("Knative's dispatcher would crash")
  expect(dead.received.map(({ headers }) => headers.get('ce-knativeerrordata')?.length)).toEqual([1024, 1024])
})

test('a dead-letter sink that fails is tried again; in the end the event is dropped, loudly', async () => {
  const lines: string[] = []
  const log = pino({ level: 'error' }, { write: (line) => void lines.push(line) })
  const one = await startFunction(() => new Response(null, { status: 422 }))
  const dead = await startFunction((_, nth) => new Response(null, { status: nth === 2 ? 202 : 503 }))
  const broker = await playBroker([trigger('one')], { one, dead }, { log })
  await post(broker)
  await broker.idle()
  expect(broker.ledger.counts()).toMatchObject({ 'dead-letter-attempted': 2, 'dead-lettered': 1, dropped: 0 })
  await post(broker, { id: '2' })
  await broker.idle()
  expect(broker.ledger.counts()).toMatchObject({ 'dead-letter-attempted': 5, 'dead-lettered': 1, dropped: 1 })
  expect(lines.join()).toContain('an event is dropped')
})

test('without a dead-letter sink a failed event is dropped', async () => {
  const one = await startFunction(() => new Response(null, { status: 422 }))
  const broker = await playBroker([trigger('one').replace(/, deadLetterSink: .*/, ' },')], { one })
  await post(broker)
  await broker.idle()
  expect(broker.ledger.counts()).toMatchObject({ attempted: 1, dropped: 1 })
})
