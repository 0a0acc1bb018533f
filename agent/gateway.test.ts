import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { sha256 } from '#shared/digest.ts'
import { runGateway } from './gateway.ts'
import type { RunGateway } from './gateway.ts'

const signal = new AbortController().signal

/** A gateway that gives the answers one after the other, the last one for ever; `null` cuts the connection. */
async function gatewayWith(
  answers: readonly (((request: IncomingMessage, response: ServerResponse) => void) | null)[],
) {
  const calls: string[] = []
  const waits: number[] = []
  const server = createServer((request, response) => {
    const answer = answers[Math.min(calls.length, answers.length - 1)]
    calls.push(`${request.method} ${request.url}`)
    if (answer === null || answer === undefined) request.socket.destroy()
    else answer(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const wait = (milliseconds: number): Promise<void> => Promise.resolve(void waits.push(milliseconds))
  return { calls, waits, gateway: runGateway({ url, token: 'run.token', wait }) }
}

const status =
  (code: number, headers: Record<string, string> = {}, body = '') =>
  (_: IncomingMessage, response: ServerResponse) =>
    void response.writeHead(code, headers).end(body)

const reasonOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'fulfilled',
    (error: { reason?: string; message: string }) => error.reason ?? error.message,
  )

test('a call is repeated after a cut and after 502, 503, 504 and 429, with growing pauses', async () => {
  const { gateway, calls, waits } = await gatewayWith([
    null,
    status(502),
    status(503),
    status(504),
    status(429),
    status(201),
  ])
  expect(await gateway.upload(Buffer.from('x'), signal)).toBe(sha256('x'))
  expect(calls).toEqual(Array.from({ length: 6 }, () => `PUT /v1/blobs/${sha256('x')}`))
  for (const [index, wait] of waits.entries()) {
    expect(wait).toBeGreaterThanOrEqual(100 * 2 ** index)
    expect(wait).toBeLessThanOrEqual(300 * 2 ** index)
  }
})

test('a pause is as long as Retry-After asks', async () => {
  const { gateway, waits } = await gatewayWith([status(503, { 'retry-after': '7' }), status(201)])
  await gateway.upload(Buffer.from('x'), signal)
  expect(waits).toEqual([7000])
})

test('a pause that is longer than the patience is not begun', async () => {
  const { gateway, waits } = await gatewayWith([status(503, { 'retry-after': '600' })])
  expect(await reasonOf(gateway.upload(Buffer.from('x'), signal))).toBe('agent_failed')
  expect(waits).toEqual([])
})

test.each([
  [400, 'agent_failed'],
  [401, 'agent_failed'],
  [403, 'stopped'],
  [409, 'stopped'],
  [410, 'stopped'],
  [422, 'agent_failed'],
  [500, 'agent_failed'],
])('%i is final and means %s', async (code, reason) => {
  const { gateway, calls } = await gatewayWith([status(code)])
  expect(await reasonOf(gateway.upload(Buffer.from('x'), signal))).toBe(reason)
  expect(calls).toHaveLength(1)
})

test('a redirect is not followed', async () => {
  const { gateway, calls } = await gatewayWith([status(302, { location: '/elsewhere' }), status(400)])
  expect(await reasonOf(gateway.blob(sha256(''), signal))).toBe('agent_failed')
  expect(calls).toEqual(Array.from({ length: 2 }, () => `GET /v1/blobs/${sha256('')}`))
})

test('a blob with other content than its name says is refused, and so is an input in another form', async () => {
  const { gateway } = await gatewayWith([status(200, {}, 'other')])
  expect(await reasonOf(gateway.blob(sha256('x'), signal))).toBe('input_invalid')
  expect(await reasonOf(gateway.input(signal))).toBe('input_invalid')
})

test('a progress line is sent once, and stops the run for 403, 409, 410 and for stop', async () => {
  const line = { sequence: 1, kind: 'started', text: '' } as const
  const stops = async (answer: ReturnType<typeof status>): Promise<boolean> =>
    (await gatewayWith([answer])).gateway.progress(line)
  expect(await stops(status(200, {}, '{"stop":false}'))).toBe(false)
  expect(await stops(status(204))).toBe(false)
  expect(await stops(status(503))).toBe(false)
  expect(await stops(status(200, {}, '{"stop":true}'))).toBe(true)
  for (const code of [403, 409, 410]) expect(await stops(status(code))).toBe(true)
})

test('a heartbeat is sent once, and stops the run for 403, 409, 410', async () => {
  const stops = async (code: number): Promise<boolean> => (await gatewayWith([status(code)])).gateway.heartbeat()
  for (const code of [204, 404, 503]) expect(await stops(code)).toBe(false)
  for (const code of [403, 409, 410]) expect(await stops(code)).toBe(true)
})

test('a call that is given up ends at once with the reason', async () => {
  const stop = new AbortController()
  const { gateway } = await gatewayWith([() => stop.abort(new Error('given up'))])
  const call: ReturnType<RunGateway['upload']> = gateway.upload(Buffer.from('x'), stop.signal)
  expect(await reasonOf(call)).toBe('given up')
})
