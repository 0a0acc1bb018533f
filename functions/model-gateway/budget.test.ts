import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { eventually } from '../../test/support/wait.ts'
import type { Db } from '#shared/db/connect.ts'
import { test } from './testing/gateway.ts'
import { answerWith, completed, events, held, startProvider } from './testing/provider.ts'
import { question } from './testing/question.ts'
import { store } from './store.ts'
import { addAttempt, calls, outbox, startRun } from './testing/run.ts'

const charged = (db: Db) =>
  eventually(async () => (await calls(db)).every(({ state }) => state === 'charged'), { what: 'the charge' })

describe('the budget', () => {
  test('holds and one stream is open, however many ask at once', async ({ db, startGateway }) => {
    const { open, answer } = held()
    const provider = await startProvider(answer)
    const gateways = await Promise.all([startGateway(provider.url), startGateway(provider.url)])
    const run = await startRun(db, { budget: { tokens: 26_000 } })
    const statuses: string[] = []
    for (let round = 0; round < 5; round += 1) {
      const responses = await Promise.all(Array.from({ length: 20 }, (_, index) => gateways[index % 2]!.ask(run)))
      for (const response of responses)
        if (response.status !== 200) statuses.push(((await response.json()) as { code: string }).code)
      const streams = responses.filter(({ status }) => status === 200)
      expect(open).toHaveLength(streams.length)
      expect(streams.length).toBe(round < 3 ? 1 : 0)
      // A cut answer stays charged with all it reserved.
      for (const response of open.splice(0)) response.destroy()
      await Promise.all(streams.map((response) => response.text()))
      expect((await calls(db)).reduce((sum, call) => sum + call.charged_tokens, 0)).toBeLessThanOrEqual(26_000)
    }
    expect(statuses.filter((code) => code === 'stream_already_open')).toHaveLength(3 * 19)
    expect(statuses.filter((code) => code === 'budget_exhausted')).toHaveLength(2 * 20)
    expect(await calls(db)).toMatchObject(Array(3).fill({ state: 'charged' }))
  })

  test('gives back what an answer did not use', async ({ db, startGateway }) => {
    const provider = await startProvider(answerWith([], 100, 50))
    const gateway = await startGateway(provider.url)
    const run = await startRun(db, { budget: { tokens: 9_000 } })
    for (let call = 0; call < 5; call += 1)
      expect(await (await gateway.ask(run)).text()).toContain('response.completed')
    expect((await calls(db)).map((call) => call.charged_tokens)).toEqual(Array(5).fill(150))
  })

  test('counts the input that is sent, and the earlier attempts of the run', async ({ db, startGateway }) => {
    const provider = await startProvider(answerWith([], 900, 200))
    const gateway = await startGateway(provider.url)
    const [other, run] = [
      await startRun(db, { budget: { tokens: 9_000 } }),
      await startRun(db, { budget: { tokens: 9_000 } }),
    ]
    const long = await gateway.ask(other, { ...question, input: 'x'.repeat(3_100) })
    expect([long.status, await long.json()]).toMatchObject([400, { code: 'budget_exhausted' }])
    await (await gateway.ask(run)).text()
    await sql`alter table model_calls disable trigger all; update model_calls set attempt = 9`.execute(db)
    expect((await gateway.ask(run)).status).toBe(400)
    expect(provider.received).toHaveLength(1)
  })

  test('that is used up ends the run, once, whoever asks how often; what it used is said', async ({
    db,
    startGateway,
  }) => {
    const provider = await startProvider(answerWith([], 900, 200))
    const gateways = [await startGateway(provider.url), await startGateway(provider.url)]
    const run = await startRun(db, { budget: { tokens: 9_000 } })
    await (await gateways[0]!.ask(run)).text()
    const answers = await Promise.all(Array.from({ length: 10 }, (_, index) => gateways[index % 2]!.ask(run)))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([400]))
    for (const answer of answers) expect(await answer.json()).toMatchObject({ code: 'budget_exhausted' })
    expect(await db.selectFrom('runs').select(['state', 'reason', 'detail']).execute()).toEqual([
      {
        state: 'failed',
        reason: 'budget_exhausted',
        detail: expect.stringMatching(/^1100 of 9000 tokens are used and the next call may need \d+\.$/),
      },
    ])
    expect(await db.selectFrom('attempts').select(['state', 'reason']).execute()).toEqual([
      { state: 'stopped', reason: 'budget_exhausted' },
    ])
    const ends = await db.selectFrom('outbox').select('id').where('type', 'like', '%run.failed%').execute()
    expect(ends).toHaveLength(1)
    expect(gateways.flatMap(({ relayed }) => relayed)).toContain(ends[0]?.id)
  })

  test('ends no run that has handed in its result meanwhile, and no newer attempt', async ({ db, startGateway }) => {
    const gateway = await startGateway((await startProvider(answerWith([]))).url)
    const [finished, replaced] = [await startRun(db, { budget: { tokens: 10 } }), await startRun(db)]
    await db.updateTable('runs').set({ state: 'publishing' }).where('id', '=', finished.id).execute()
    await db.updateTable('attempts').set({ state: 'lost' }).where('run_id', '=', replaced.id).execute()
    await addAttempt(db, replaced.id, 2)
    expect([(await gateway.ask(finished)).status, (await gateway.ask(replaced)).status]).toEqual([403, 403])
    const deps = store(db, 15)
    expect(await deps.exhaust(finished.ref, '')).toEqual([])
    expect(await deps.exhaust(replaced.ref, '')).toEqual([])
    expect(new Set((await db.selectFrom('runs').select('state').execute()).map(({ state }) => state))).toEqual(
      new Set(['publishing', 'running']),
    )
  })

  test('of one run is not that of another', async ({ db, startGateway }) => {
    const { open, answer } = held()
    const provider = await startProvider(answer)
    const gateway = await startGateway(provider.url)
    for (let run = 0; run < 3; run += 1)
      expect((await gateway.ask(await startRun(db, { budget: { tokens: 9_000 } }))).status).toBe(200)
    expect(open).toHaveLength(3)
  })

  test('is checked under the lock of the run', async ({ db, startGateway }) => {
    const provider = await startProvider(answerWith([]))
    const gateway = await startGateway(provider.url)
    const run = await startRun(db)
    const asked = await db.transaction().execute(async (tx) => {
      await tx.selectFrom('runs').select('id').where('id', '=', run.id).forUpdate().execute()
      const pending = gateway.ask(run)
      await eventually(async () => (await sql`select 1 from pg_locks where not granted`.execute(db)).rows.length > 0, {
        what: 'the wait for the lock',
      })
      await tx.updateTable('attempts').set({ state: 'stopped' }).execute()
      return { pending }
    })
    expect((await asked.pending).status).toBe(403)
    expect(provider.received).toEqual([])
  })
})

describe('a cut stream stays charged', () => {
  test('when the client goes, and the model is told to stop', async ({ db, startGateway }) => {
    const provider = await startProvider(held().answer)
    const gateway = await startGateway(provider.url)
    const stop = new AbortController()
    const response = await gateway.ask(await startRun(db), question, { signal: stop.signal })
    expect(response.status).toBe(200)
    stop.abort()
    await provider.received[0]!.closed
    await charged(db)
    const [call] = await calls(db)
    expect(call).toMatchObject({ charged_tokens: call!.reserved_tokens, output_tokens: null })
    expect(await outbox(db)).toMatchObject([{ record: { rows: { model_calls: [{ state: 'charged' }] } } }])
  })

  test('when the client goes before the model has answered', async ({ db, startGateway }) => {
    const provider = await startProvider(() => {})
    const gateway = await startGateway(provider.url)
    const stop = new AbortController()
    const asking = gateway.ask(await startRun(db), question, { signal: stop.signal }).catch(() => 'gone')
    await eventually(() => provider.received.length === 1, { what: 'the request' })
    stop.abort()
    expect(await asking).toBe('gone')
    await provider.received[0]!.closed
    await charged(db)
  })

  test('when the model goes', async ({ db, startGateway }) => {
    const { open, answer } = held()
    const provider = await startProvider(answer)
    const gateway = await startGateway(provider.url)
    const response = await gateway.ask(await startRun(db))
    open[0]!.destroy()
    expect(await response.text()).not.toContain('response.completed')
    await charged(db)
    expect(gateway.relayed).toHaveLength(2)
  })

  test('when the attempt is over before the answer is', async ({ db, startGateway }) => {
    const provider = await startProvider(held().answer)
    const gateway = await startGateway(provider.url, { leaseSeconds: 0.3 })
    const response = await gateway.ask(await startRun(db))
    await db.updateTable('attempts').set({ state: 'stopped' }).execute()
    await provider.received[0]!.closed
    await response.text()
    await charged(db)
  })
})

describe('a reservation', () => {
  test('is renewed while its stream is open, and refuses a second one with the time to wait', async ({
    db,
    startGateway,
  }) => {
    const { open, answer } = held()
    const provider = await startProvider(answer)
    const gateway = await startGateway(provider.url, { leaseSeconds: 0.3 })
    const run = await startRun(db)
    const response = await gateway.ask(run)
    const [first] = await calls(db)
    await eventually(async () => (await calls(db))[0]!.expires_at.getTime() > first!.expires_at.getTime() + 500, {
      what: 'renewals',
    })
    const second = await gateway.ask(run)
    expect([second.status, second.headers.get('retry-after'), await second.json()]).toMatchObject([
      409,
      '1',
      { code: 'stream_already_open' },
    ])
    open[0]!.end(events(completed(1, 1)))
    await response.text()
    expect(await calls(db)).toMatchObject([{ state: 'settled', charged_tokens: 2 }])
  })

  test('that nobody renews is charged by the next request, which gets the stream', async ({ db, startGateway }) => {
    const { answer } = held()
    const provider = await startProvider(answer)
    const gateway = await startGateway(provider.url)
    const run = await startRun(db)
    await gateway.ask(run)
    expect((await gateway.ask(run)).status).toBe(409)
    await db
      .updateTable('model_calls')
      .set({ expires_at: sql`now() - interval '1 ms'` })
      .execute()
    expect((await gateway.ask(run)).status).toBe(200)
    expect(await calls(db)).toMatchObject([{ state: 'charged' }, { state: 'reserved' }])
    expect(await outbox(db)).toHaveLength(1)
  })

  test('that nobody renews is charged and told of even if the next request is refused', async ({
    db,
    startGateway,
  }) => {
    const provider = await startProvider(held().answer)
    const gateway = await startGateway(provider.url)
    const run = await startRun(db, { budget: { tokens: 9_000 } })
    await gateway.ask(run)
    await db
      .updateTable('model_calls')
      .set({ expires_at: sql`now() - interval '1 ms'` })
      .execute()
    expect((await gateway.ask(run)).status).toBe(400)
    const [charge] = await outbox(db)
    expect(gateway.relayed).toContain(charge?.id)
  })

  test('that nobody renews is charged by the sweep, once and not before its time', async ({ db, startGateway }) => {
    const provider = await startProvider(held().answer)
    const gateway = await startGateway(provider.url)
    await gateway.ask(await startRun(db))
    const sweep = async (grace: number) =>
      (await fetch(`${gateway.url}/sweep?grace=${grace}`, { method: 'POST' })).json()
    expect(await sweep(0)).toEqual({ delivered: 0, written: 0 })
    await db
      .updateTable('model_calls')
      .set({ expires_at: sql`now() - interval '30 seconds'` })
      .execute()
    expect(await sweep(60)).toEqual({ delivered: 0, written: 0 })
    expect(await sweep(20)).toEqual({ delivered: 0, written: 1 })
    expect(await sweep(0)).toEqual({ delivered: 0, written: 0 })
    expect(await calls(db)).toMatchObject([{ state: 'charged' }])
    expect(gateway.relayed).toEqual((await outbox(db)).map(({ id }) => id))
  })

  test('that was charged meanwhile is not settled by what the model reports later', async ({ db, startGateway }) => {
    const { open, answer } = held()
    const provider = await startProvider(answer)
    const gateway = await startGateway(provider.url)
    const response = await gateway.ask(await startRun(db))
    await db
      .updateTable('model_calls')
      .set({ expires_at: sql`now() - interval '1 ms'` })
      .execute()
    await fetch(`${gateway.url}/sweep?grace=0`, { method: 'POST' })
    open[0]!.end(events(completed(1, 1)))
    await response.text()
    const [call] = await calls(db)
    expect(call).toMatchObject({ state: 'charged', charged_tokens: call!.reserved_tokens })
    expect(await outbox(db)).toHaveLength(1)
  })

  test('is settled by the time the client has the last event: the next request follows at once', async ({
    db,
    startGateway,
  }) => {
    const provider = await startProvider(answerWith([]))
    const gateway = await startGateway(provider.url)
    const run = await startRun(db)
    for (let call = 0; call < 10; call += 1) {
      const response = await gateway.ask(run)
      expect(response.status).toBe(200)
      let text = ''
      for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
        text += chunk
        if (text.includes('response.completed')) break
      }
    }
  })
})
