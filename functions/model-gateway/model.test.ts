import type { ServerResponse } from 'node:http'
import { describe, expect } from 'vitest'
import { test } from './testing/gateway.ts'
import { nowhere, refuseWith, startProvider } from './testing/provider.ts'
import { calls, outbox, startRun } from './testing/run.ts'

describe('a model that refuses', () => {
  const error = (code: string) => ({
    error: {
      message: 'Your key sk-canary-0123456789 is not allowed',
      type: 'invalid_request_error',
      code,
      param: 'input',
    },
  })
  test.for<
    [number, object, Record<string, string>, { status: number; code: string; after: string | null; detail?: string }]
  >([
    [429, error('rate_limit'), { 'retry-after': '7' }, { status: 429, code: 'model_busy', after: '7' }],
    [429, error('insufficient_quota'), {}, { status: 429, code: 'model_busy', after: null }],
    [429, {}, { 'retry-after': 'sk-canary-0123456789' }, { status: 429, code: 'model_busy', after: null }],
    [500, error('server_error'), { 'retry-after': '3' }, { status: 500, code: 'model_unavailable', after: '3' }],
    [503, {}, {}, { status: 503, code: 'model_unavailable', after: null }],
    [401, error('invalid_api_key'), {}, { status: 502, code: 'model_unavailable', after: null }],
    [403, error('country'), {}, { status: 502, code: 'model_unavailable', after: null }],
    [302, {}, { location: 'http://127.0.0.1:9/' }, { status: 502, code: 'model_unavailable', after: null }],
    [
      400,
      error('context_length_exceeded'),
      {},
      {
        status: 400,
        code: 'model_refused',
        after: null,
        detail: 'The provider answered 400: context_length_exceeded, input.',
      },
    ],
    [
      400,
      error('sk-canary-0123456789'),
      {},
      {
        status: 400,
        code: 'model_refused',
        after: null,
        detail: 'The provider answered 400: invalid_request_error, input.',
      },
    ],
    [
      422,
      { error: { code: 'only_a_code' } },
      {},
      { status: 400, code: 'model_refused', after: null, detail: 'The provider answered 422: only_a_code.' },
    ],
    [
      404,
      { error: { message: 'x'.repeat(100_000), code: 'never_read' } },
      {},
      { status: 400, code: 'model_refused', after: null, detail: 'The provider answered 404.' },
    ],
  ])('with %i costs nothing', async ([status, body, headers, expected], { db, startGateway }) => {
    const provider = await startProvider(refuseWith(status, body, headers))
    const gateway = await startGateway(provider.url)
    const run = await startRun(db)
    const response = await gateway.ask(run)
    const text = await response.text()
    expect(response.status).toBe(expected.status)
    expect(response.headers.get('retry-after')).toBe(expected.after)
    expect(JSON.parse(text)).toMatchObject({
      code: expected.code,
      ...(expected.detail !== undefined && { detail: expected.detail }),
    })
    expect(await calls(db)).toMatchObject([{ state: 'settled', charged_tokens: 0 }])
    expect(provider.received).toHaveLength(1)
    // The reservation, and that it cost nothing.
    expect(gateway.relayed).toHaveLength(2)
    const said = text + JSON.stringify([...response.headers]) + gateway.log() + JSON.stringify(await outbox(db))
    for (const canary of ['canary', Buffer.from('sk-canary').toString('base64').slice(0, 11), run.token])
      expect(said).not.toContain(canary)
  })

  test('because it is not there costs nothing, and the address is not told', async ({ db, startGateway }) => {
    const gateway = await startGateway(await nowhere())
    const response = await gateway.ask(await startRun(db))
    expect(response.status).toBe(502)
    expect(await response.text()).not.toContain('127.0.0.1')
    expect(await calls(db)).toMatchObject([{ state: 'settled', charged_tokens: 0 }])
  })

  test.for<[string, (response: ServerResponse) => void]>([
    ['hangs up after the request', (response) => void response.destroy()],
    ['answers with JSON', (response) => void response.writeHead(200, { 'content-type': 'application/json' }).end('{}')],
  ])('or %s may have worked, and stays charged', async ([, answer], { db, startGateway }) => {
    const provider = await startProvider(answer)
    const gateway = await startGateway(provider.url)
    expect((await gateway.ask(await startRun(db))).status).toBe(502)
    expect(await calls(db)).toMatchObject([{ state: 'charged' }])
  })
})
