import { request } from 'node:http'
import { expect, test } from 'vitest'
import { listen } from '#shared/edge/serve.ts'

/** A GET over a connection that would be kept. */
const get = (url: string) =>
  new Promise<string>((resolve, reject) => {
    request(url, { agent: false, headers: { connection: 'keep-alive' } }, (response) => {
      let text = ''
      response.on('data', (chunk: Buffer) => (text += chunk.toString()))
      response.on('end', () => resolve(text))
    })
      .on('error', reject)
      .end()
  })

test('C17 closing lets what is under way finish, takes nothing new, and lets go of the clients last', async () => {
  const order: string[] = []
  const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>()
  const { promise: held, resolve: go } = Promise.withResolvers<void>()
  const fetch = async () => {
    arrive()
    await held
    order.push('answered')
    return new Response('done')
  }
  const { url, close } = await listen({ fetch, close: async () => void order.push('closed') }, { port: 0 })
  const answer = get(url)
  await arrived
  const closed = close()
  await expect(get(url)).rejects.toThrow(/ECONNREFUSED/)
  go()
  expect(await answer).toBe('done')
  await closed
  expect(order).toEqual(['answered', 'closed'])
})

test('the probe is answered by the edge itself, and the app is asked for everything else', async () => {
  const app = { fetch: (asked: Request) => new Response(asked.method), close: async () => {} }
  const { url, close } = await listen(app, { port: 0 })
  expect(await get(`${url}/healthz`)).toBe('ok')
  expect(await (await fetch(`${url}/healthz`, { method: 'POST', body: 'x' })).text()).toBe('POST')
  await close()
})

test('a port that is taken is an error, not a process that hangs', async () => {
  const app = { fetch: () => new Response('x'), close: async () => {} }
  const first = await listen(app, { port: 0 })
  await expect(listen(app, { port: Number(new URL(first.url).port) })).rejects.toThrow(/EADDRINUSE/)
  await first.close()
})

test('C18: a loop that hung for a second is not ready once it answers again, though alive, and then it is', async () => {
  const fetch = (request: Request) => {
    // Nothing else runs meanwhile, not even the probe.
    if (request.url.endsWith('/hang')) for (const end = performance.now() + 1_500; performance.now() < end;);
    return new Response('ok')
  }
  const { url, close } = await listen({ fetch, close: async () => {} }, { port: 0 })
  const status = async (path: string) => (await globalThis.fetch(`${url}${path}`)).status
  // A probe forgets what was before it, as how long this process took to start.
  const untilReady = async () => {
    while ((await status('/readyz')) !== 200);
  }
  await untilReady()
  await status('/hang')
  expect(await status('/healthz')).toBe(200)
  const probe = await globalThis.fetch(`${url}/readyz`)
  expect([probe.status, await probe.text()]).toEqual([503, expect.stringMatching(/held up for \d{4,} ms/)])
  await untilReady()
  await close()
})
