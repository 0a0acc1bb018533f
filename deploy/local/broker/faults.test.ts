import { expect, test } from 'vitest'
import { planFaults } from './faults.ts'
import { playBroker, post, settled, startFunction, trigger, type Received } from './testing.ts'

const ids = (received: readonly Received[]) => received.map(({ headers }) => headers.get('ce-id'))

test('faults are the same for the same seed, and others for another one', () => {
  const plans = [1, 1, 2].map((seed) => {
    const plan = planFaults({ seed, duplicate: 0.3, delayMs: 100 })
    return Array.from({ length: 50 }, () => plan())
  })
  expect(plans[0]).toEqual(plans[1])
  expect(plans[0]).not.toEqual(plans[2])
})

test('about the share that is asked for is delivered twice, and delays change the order', async () => {
  const one = await startFunction()
  const broker = await playBroker([trigger('one')], { one }, { faults: { seed: 7, duplicate: 0.3, delayMs: 20 } })
  const sent = Array.from({ length: 100 }, (_, n) => String(n))
  for (const id of sent) await post(broker, { id })
  await broker.idle()
  const received = ids(one.received)
  expect(new Set(received).size).toBe(100)
  expect(received.length).toBeGreaterThan(115)
  expect(received.length).toBeLessThan(145)
  const firsts = [...new Set(received)]
  expect(firsts).not.toEqual(sent)
  broker.setFaults()
  await post(broker, { id: 'last' })
  await broker.idle()
  expect(ids(one.received).filter((id) => id === 'last')).toHaveLength(1)
})

test('lose forgets what is under way and what waits for its next attempt, and says how many', async () => {
  const reached = Promise.withResolvers<void>()
  const slow = await startFunction(() => (reached.resolve(), new Promise<Response>(() => {})))
  const busy = await startFunction(() => new Response(null, { status: 503 }))
  const broker = await playBroker([trigger('slow'), trigger('busy')], { slow, busy }, { backoffScale: 100 })
  await post(broker)
  await reached.promise
  expect(broker.lose()).toBe(2)
  await broker.idle()
  expect(broker.ledger.counts()).toMatchObject({ lost: 2, delivered: 0, 'dead-lettered': 0 })
})

test('a paused broker accepts and starts no attempt until it goes on', async () => {
  const one = await startFunction(settled)
  const broker = await playBroker([trigger('one')], { one })
  broker.pause()
  expect(await post(broker)).toBe(202)
  broker.pause()
  expect(await post(broker, { id: '2' })).toBe(202)
  expect(broker.lose()).toBe(2)
  await broker.idle()
  await post(broker, { id: '3' })
  expect(one.received).toEqual([])
  broker.resume()
  await broker.idle()
  expect(ids(one.received)).toEqual(['3'])
})

test('at most 64 requests per trigger are under way, the others follow', async () => {
  let underWay = 0
  let most = 0
  const full = Promise.withResolvers<void>()
  const one = await startFunction(async () => {
    most = Math.max(most, (underWay += 1))
    if (underWay === 64) setTimeout(full.resolve, 50)
    await full.promise
    underWay -= 1
    return settled()
  })
  const broker = await playBroker([trigger('one')], { one })
  broker.pause()
  for (let n = 0; n < 150; n += 1) await post(broker, { id: String(n) })
  broker.resume()
  await broker.idle()
  expect(broker.ledger.counts().delivered).toBe(150)
  expect(most).toBe(64)
})

test('a stop forgets what is held and ends at once', async () => {
  const slow = await startFunction(() => new Promise<Response>(() => {}))
  const broker = await playBroker([trigger('slow')], { slow })
  await post(broker)
  await broker.stop()
  expect(broker.ledger.counts().lost).toBe(1)
  await expect(post(broker)).rejects.toThrow('fetch failed')
  await broker.stop()
})
