import { describe, expect } from 'vitest'
import { addHook, addProject, deliver, exchange, head, labeled, startGateway, test } from './testing/gateway.ts'

const bad = { body: labeled(42), signature: `sha256=${'0'.repeat(64)}` }
const from = (...addresses: string[]) => ({ headers: { 'x-forwarded-for': addresses.join(', ') } })

describe('W23 a sender of what is not authentic', () => {
  test('is answered 429 with Retry-After before its body is read, whatever hook it names, until its time is over', async ({
    databaseUrl,
    db,
  }) => {
    const gateway = await startGateway(databaseUrl, undefined, { trustedProxies: 1 })
    const hook = await addHook(db, await addProject(db, 42))
    const statuses: number[] = []
    for (let count = 0; count < 60; count += 1)
      statuses.push(
        (await deliver(gateway, count % 2 === 0 ? hook : 'nosuchhook', { ...bad, ...from('9.9.9.9') })).status,
      )
    expect(statuses).toEqual([...Array<number>(50).fill(401), ...Array<number>(10).fill(429)])
    const refused = await deliver(gateway, hook, { body: labeled(42), ...from('9.9.9.9') })
    expect([refused.status, refused.json['code']]).toEqual([429, 'too_many_failures'])
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    expect(Number(refused.headers.get('retry-after'))).toBeLessThanOrEqual(10)
    // A small one does not cost the connection.
    const small = (...headers: string[]) =>
      `${head(hook, ['x-forwarded-for: 9.9.9.9', 'content-length: 2', ...headers])}{}`
    const answers = await exchange(gateway.url, small() + small('connection: close'))
    expect(answers.match(/HTTP\/1\.1 429 /g)).toHaveLength(2)
    // The rest of a large body never comes, and the answer does not wait for it.
    const start = head(hook, ['x-forwarded-for: 9.9.9.9', 'content-length: 100000'])
    expect(await exchange(gateway.url, start)).toMatch(/^HTTP\/1\.1 429 /)
  })

  test('holds up nobody else, and cannot pass for somebody else', async ({ databaseUrl, db }) => {
    const gateway = await startGateway(databaseUrl, undefined, { trustedProxies: 1 })
    const hook = await addHook(db, await addProject(db, 42))
    // What stands before our own proxy's entry is the sender's invention: new each time, or the forge's address.
    for (let count = 0; count < 60; count += 1)
      await deliver(gateway, hook, { ...bad, ...from(`1.2.3.${count}`, '140.82.112.1', '9.9.9.9') })
    expect((await deliver(gateway, hook, { ...bad, ...from('4.4.4.4', '9.9.9.9') })).status).toBe(429)
    expect((await deliver(gateway, hook, { body: labeled(42), ...from('140.82.112.1') })).status).toBe(202)
  })

  test('costs an authentic sender nothing, however much that sends', async ({ databaseUrl, db }) => {
    const gateway = await startGateway(databaseUrl, undefined, { trustedProxies: 0 })
    const hook = await addHook(db, await addProject(db, 42))
    const statuses = new Set<number>()
    for (let count = 0; count < 70; count += 1)
      statuses.add((await deliver(gateway, hook, { body: labeled(42) })).status)
    expect(statuses).toEqual(new Set([202]))
  })

  test('is not counted where nobody said who stands in front: all would have the address of the proxy', async ({
    databaseUrl,
  }) => {
    const gateway = await startGateway(databaseUrl)
    const statuses = new Set<number>()
    for (let count = 0; count < 60; count += 1) statuses.add((await deliver(gateway, 'nosuchhook', bad)).status)
    expect(statuses).toEqual(new Set([401]))
  })
})
