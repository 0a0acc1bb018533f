import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { connect } from '#shared/db/connect.ts'
import { mintToken } from '#shared/job/token.ts'
import { createLog } from '#shared/log.ts'
import { create } from './app.ts'
import { test } from './testing/gateway.ts'
import { answerWith, nowhere, startProvider } from './testing/provider.ts'
import { question } from './testing/question.ts'
import { addAttempt, runTokenKey, startRun } from './testing/run.ts'

const message = { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'Hello' }] }

describe('an attempt that is open', () => {
  test('gets the stream of the model, and the run is charged what it reports', async ({ db, startGateway }) => {
    const provider = await startProvider(answerWith([message], 120, 30))
    const gateway = await startGateway(provider.url)
    const run = await startRun(db)
    const response = await gateway.ask(run, { ...question, model: 'gpt-expensive' })
    expect(response.status).toBe(200)
    expect(await response.text()).toContain('"text":"Hello"')
    expect(provider.received).toMatchObject([
      { url: '/v1/responses', body: { model: 'gpt-5.5', reasoning: { effort: 'high' }, max_output_tokens: 8_000 } },
    ])

    const call = await db.selectFrom('model_calls').selectAll().executeTakeFirstOrThrow()
    expect(call).toMatchObject({
      run_id: run.id,
      attempt: 1,
      state: 'settled',
      charged_tokens: 150,
      input_tokens: 120,
      output_tokens: 30,
    })
    expect(call.reserved_tokens).toBeGreaterThan(8_000)
    const [first, event] = await db.selectFrom('outbox').selectAll().orderBy('seq').execute()
    expect(first).toMatchObject({
      type: 'dev.codex-k8s.usage.reserved.v1',
      record: { rows: { model_calls: [{ id: call.id, state: 'reserved' }] } },
    })
    expect(event).toMatchObject({
      type: 'dev.codex-k8s.usage.recorded.v1',
      subject: `runs/${run.id}`,
      producer: 'model-gateway',
    })
    expect(event?.record).toMatchObject({
      data: { run: run.id, attempt: 1 },
      rows: { model_calls: [{ id: call.id, charged_tokens: 150 }] },
    })
    expect(gateway.relayed).toEqual([first?.id, event?.id])
  })

  test('sends and receives only what is on the list of headers', async ({ db, startGateway }) => {
    const provider = await startProvider(answerWith([]))
    const gateway = await startGateway(provider.url)
    const response = await gateway.ask(await startRun(db))
    await response.text()
    const transport = [
      'host',
      'connection',
      'content-length',
      'user-agent',
      'accept-language',
      'accept-encoding',
      'sec-fetch-mode',
    ]
    expect(
      Object.keys(provider.received[0]!.headers)
        .filter((name) => !transport.includes(name))
        .toSorted(),
    ).toEqual(['accept', 'authorization', 'content-type'])
    expect(provider.received[0]!.headers.authorization).toBe('Bearer sk-canary-0123456789')
    const own = [...response.headers.keys()].filter(
      (name) => !['connection', 'date', 'keep-alive', 'transfer-encoding'].includes(name),
    )
    expect(own).toEqual(['cache-control', 'content-type'])
  })

  test('needs no key of a model that has none', async ({ db, startGateway }) => {
    const provider = await startProvider(answerWith([]))
    const gateway = await startGateway(provider.url, { key: '' })
    await (await gateway.ask(await startRun(db))).text()
    expect(provider.received[0]!.headers.authorization).toBeUndefined()
  })

  test('is told its one model without anybody being asked', async ({ db, startGateway }) => {
    const provider = await startProvider(answerWith([]))
    const gateway = await startGateway(provider.url)
    const response = await gateway.ask(await startRun(db), undefined, { path: '/v1/models', method: 'GET' })
    expect(await response.json()).toMatchObject({ data: [{ id: 'gpt-5.5' }] })
    expect(provider.received).toEqual([])
  })

  test.for<[string, string]>([
    ['POST', '/v1/chat/completions'],
    ['POST', '/v1/responses/compact'],
    ['GET', '/v1/responses/resp_1'],
    ['GET', '/v1/files'],
    ['POST', '/v1/embeddings'],
    ['GET', '/'],
  ])('finds nothing else: %s %s', async ([method, path], { db, startGateway }) => {
    const provider = await startProvider(answerWith([]))
    const gateway = await startGateway(provider.url)
    expect((await gateway.ask(await startRun(db), question, { method, path })).status).toBe(404)
    expect(provider.received).toEqual([])
  })

  test.for<[string, unknown, number, string]>([
    ['a hosted tool', { ...question, tools: [{ type: 'web_search' }] }, 400, 'tool_not_allowed'],
    ['text that is no JSON', '{', 400, 'invalid_request'],
    [
      'a tool nested too deeply to be written',
      `{"stream":true,"input":"x","tools":[{"type":"function","parameters":${'['.repeat(100_000)}${']'.repeat(100_000)}}]}`,
      400,
      'invalid_request',
    ],
    ['more than 16 MiB', ' '.repeat(16 * 1024 * 1024 + 1), 413, 'request_too_large'],
  ])('is refused %s, and nothing is reserved', async ([, body, status, code], { db, startGateway }) => {
    const provider = await startProvider(answerWith([]))
    const gateway = await startGateway(provider.url)
    const response = await gateway.ask(await startRun(db), body)
    expect([response.status, await response.json()]).toMatchObject([status, { code }])
    expect(provider.received).toEqual([])
    expect(await db.selectFrom('model_calls').select('id').execute()).toEqual([])
  })

  test('is refused more than 16 MiB that come without a length', async ({ db, startGateway }) => {
    const gateway = await startGateway(await nowhere())
    const { token } = await startRun(db)
    const chunk = new Uint8Array(1024 * 1024).fill(32)
    let sent = 0
    const body = new ReadableStream({
      pull: (controller) => ((sent += 1) > 17 ? controller.close() : controller.enqueue(chunk)),
    })
    const request = { method: 'POST', body, duplex: 'half', headers: { authorization: `Bearer ${token}` } }
    expect((await fetch(`${gateway.url}/v1/responses`, request as RequestInit)).status).toBe(413)
  })
})

describe('a token opens nothing', () => {
  const foreign = '00000000-0000-4000-8000-000000000000'
  test.for<[string, (ref: { run: string; attempt: number; fence: number }) => string]>([
    ['that is missing', () => ''],
    ['that is not ours', () => 'sk-something'],
    ['that another key signed', (ref) => mintToken('another key', 'model', ref)],
    ['of the run-gateway', (ref) => mintToken(runTokenKey, 'run', ref)],
    ['whose run was exchanged', (ref) => mintToken(runTokenKey, 'model', ref).replace(ref.run, foreign)],
    ['of a run that does not exist', (ref) => mintToken(runTokenKey, 'model', { ...ref, run: foreign })],
    ['of another fence', (ref) => mintToken(runTokenKey, 'model', { ...ref, fence: ref.fence + 1 })],
  ])('%s: 401', async ([, forge], { db, startGateway }) => {
    const provider = await startProvider(answerWith([]))
    const gateway = await startGateway(provider.url)
    const token = forge((await startRun(db)).ref)
    for (const options of [{}, { path: '/v1/models', method: 'GET' }]) {
      const response = await gateway.ask({ token }, question, options)
      expect([response.status, await response.json()]).toMatchObject([401, { code: 'token_invalid' }])
    }
    expect(provider.received).toEqual([])
  })

  const attempts = sql`update attempts set `
  test.for<[string, string, ReturnType<typeof sql>]>([
    ['after its deadline', 'deadline_exceeded', sql`${attempts} deadline_at = now() - interval '1 millisecond'`],
    [
      'after the result',
      'attempt_closed',
      sql`with blob as (insert into blobs (digest, bytes) values (repeat('0', 64), '') returning digest)
        update attempts set state = 'finished', result_digest = (select digest from blob)`,
    ],
    ['after the attempt was lost', 'attempt_closed', sql`${attempts} state = 'lost'`],
    ['after it was stopped', 'attempt_closed', sql`${attempts} state = 'stopped'`],
    ['of a run that waits', 'attempt_closed', sql`update runs set state = 'queued'`],
    ['of a run that is published', 'attempt_closed', sql`update runs set state = 'publishing'`],
    ['of a run that was cancelled', 'attempt_closed', sql`update runs set state = 'cancelled', reason = 'closed'`],
  ])('%s: 403', async ([, code, change], { db, startGateway }) => {
    const provider = await startProvider(answerWith([]))
    const gateway = await startGateway(provider.url)
    const run = await startRun(db)
    await change.execute(db)
    for (const options of [{}, { path: '/v1/models', method: 'GET' }]) {
      const response = await gateway.ask(run, question, options)
      expect([response.status, await response.json()]).toMatchObject([403, { code }])
    }
    expect(provider.received).toEqual([])
  })

  test('once a newer attempt is there, whatever its own says', async ({ db, startGateway }) => {
    const provider = await startProvider(answerWith([]))
    const gateway = await startGateway(provider.url)
    const run = await startRun(db)
    await db.updateTable('attempts').set({ state: 'lost' }).execute()
    const ref = await addAttempt(db, run.id, 2)
    await sql`drop index attempts_open`.execute(db)
    await db.updateTable('attempts').set({ state: 'created' }).where('attempt', '=', 1).execute()
    expect((await gateway.ask(run)).status).toBe(403)
    expect((await gateway.ask({ token: mintToken(runTokenKey, 'model', ref) })).status).toBe(200)
  })
})

test('closing waits for what is being settled', async ({ db, databaseUrl }) => {
  const provider = await startProvider((response) =>
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders(),
  )
  const relay = { after: async () => {}, overdue: async () => 0 }
  const clients = {
    db: connect(databaseUrl, { name: 'model-gateway' }),
    relay,
    log: createLog('model-gateway', 'silent'),
  }
  const app = create({ modelUrl: provider.url, modelKey: '', runTokenKey }, clients)
  const { token } = await startRun(db)
  const headers = { authorization: `Bearer ${token}` }
  const response = await app.fetch(
    new Request('http://gateway/v1/responses', { method: 'POST', headers, body: JSON.stringify(question) }),
  )
  void response.body!.cancel()
  await app.close()
  expect(await db.selectFrom('model_calls').select('state').execute()).toEqual([{ state: 'charged' }])
})

test('says that it is up', async ({ startGateway }) => {
  const gateway = await startGateway(await nowhere())
  expect((await fetch(`${gateway.url}/healthz`)).status).toBe(200)
})
