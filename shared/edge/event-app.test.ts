import { describe, expect } from 'vitest'
import { test } from '../../test/support/database.ts'
import type { Db } from '#shared/db/connect.ts'
import { transaction } from '#shared/db/transaction.ts'
import { eventApp, graceOf } from '#shared/edge/event-app.ts'
import { keptLog, noRelay, post, sweep } from '#shared/edge/testing/post.ts'
import { PermanentError, RetryLater } from '#shared/errors.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import type { Handler } from '#shared/outbox/deliver.ts'
import { emit } from '#shared/outbox/write.ts'

const consumer = 'change-publisher'
const write = (db: Db) =>
  transaction(db, (tx) =>
    emit(tx, 'test', { type: EVENT_TYPES.runFinished, subject: 's', extensions: {}, data: {}, rows: {} }),
  )

function start(db: Db, handle: Handler = async () => ({ outcome: 'done', written: ['w'] })) {
  const { log, lines } = keptLog()
  const relayed: (readonly string[])[] = []
  const relay = { ...noRelay, after: async (ids: readonly string[]) => void relayed.push(ids) }
  const app = eventApp({ consumer, db, relay, log, handle, sweep: async () => ['swept'], close: async () => {} })
  const send = (headers: Record<string, string>, body = '') =>
    app.fetch(new Request('http://function/', { method: 'POST', headers, body }))
  return { app, lines, relayed, send }
}

const attributes = (id: string) => ({
  specversion: '1.0',
  type: EVENT_TYPES.runFinished,
  source: '/codex-k8s/test',
  id,
})
const binary = (id: string) =>
  Object.fromEntries(Object.entries(attributes(id)).map(([name, value]) => [`ce-${name}`, value]))

describe('the answer to a broker', () => {
  test('to an event that is done is 202 and empty, and what it wrote is relayed before; the same again is 202', async ({
    db,
  }) => {
    const { app, relayed } = start(db)
    const id = await write(db)
    expect(await post(app, db, consumer, id)).toMatchObject({ status: 202, text: '', state: 'done' })
    expect(relayed).toEqual([['w']])
    expect(await post(app, db, consumer, id)).toMatchObject({ status: 202, text: '' })
    expect(relayed).toHaveLength(1)
  })

  test.for([
    ['a permanent failure', new PermanentError('it is what it is'), 422, null],
    ['a world that is not ready', new RetryLater('soon', { seconds: 7 }), 503, '7'],
    [
      'a database that is away',
      new Error('canary', { cause: Object.assign(new Error('x'), { code: '57P01' }) }),
      503,
      '5',
    ],
    ['anything else', new Error('canary of the database'), 500, null],
  ] as const)('to %s', async ([, error, status, after], { db }) => {
    const { app } = start(db, () => Promise.reject(error))
    const answer = await post(app, db, consumer, await write(db))
    expect(answer).toMatchObject({ status, state: 'pending' })
    expect(answer.headers.get('retry-after')).toBe(after)
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect(answer.text).not.toContain('canary')
    // Kept for who hears of it from the broker: that it failed, and nothing of why.
    const noted = status === 503 ? null : { code: status === 422 ? 'unprocessable' : 'fault' }
    const row = db.selectFrom('deliveries').select('error').where('consumer', '=', consumer)
    expect(await row.executeTakeFirst()).toEqual({ error: noted })
  })

  test('W25 to an event that nobody wrote is 422, and the posted content is not looked at', async ({ db }) => {
    const { send } = start(db)
    expect((await send(binary('forged'), '{"run":"x"}')).status).toBe(422)
    const id = await write(db)
    expect((await send({ ...binary(id), 'content-type': 'application/json' }, '{"run":"forged"}')).status).toBe(202)
  })

  test('to both modes of the binding is the same; to a batch, no event and half an event 422', async ({ db }) => {
    const { send } = start(db)
    const id = await write(db)
    const structured = { 'content-type': 'application/cloudevents+json; charset=utf-8' }
    expect((await send(structured, JSON.stringify({ ...attributes(id), data: {} }))).status).toBe(202)
    const batch = { 'content-type': 'application/cloudevents-batch+json' }
    for (const [headers, body] of [
      [batch, JSON.stringify([attributes(id)])],
      [structured, '{'],
      [structured, '{}'],
      [{}, 'hello'],
      [{ ...binary(id), 'ce-id': '' }, ''],
      [{ ...binary(id), 'ce-id': '%00' }, ''],
    ] as const)
      expect([body, (await send(headers, body)).status]).toEqual([body, 422])
  })

  test('in the structured mode a percent sign is a percent sign', async ({ db }) => {
    const { send } = start(db)
    const id = await write(db)
    await db.updateTable('outbox').set({ event_id: 'a%41' }).where('id', '=', id).execute()
    const structured = { 'content-type': 'application/cloudevents+json' }
    expect((await send(binary('a%2541'))).status).toBe(202)
    expect((await send(structured, JSON.stringify(attributes('a%41')))).status).toBe(202)
    expect((await send(structured, JSON.stringify(attributes('a%2541')))).status).toBe(422)
  })

  test('to more than a megabyte is 413, to another path 404', async ({ db }) => {
    const { app, send } = start(db)
    expect(
      (await send({ ...binary('x'), 'content-type': 'application/json' }, 'x'.repeat(1024 * 1024 + 1))).status,
    ).toBe(413)
    expect((await app.fetch(new Request('http://function/other', { method: 'POST' }))).status).toBe(404)
  })

  test('X13 a line break in an attribute stays one line of the log', async ({ db }) => {
    const { send, lines } = start(db)
    const id = await write(db)
    await send({ ...binary(id), 'ce-subject': 'a%0A{"level":60}' })
    const settled = lines.filter((line) => line.includes('event settled'))
    expect(settled).toHaveLength(1)
    expect(settled[0]?.trimEnd().split('\n')).toHaveLength(1)
    expect(JSON.parse(settled[0] ?? '')).toMatchObject({ level: 30, subject: 'a\n{"level":60}' })
  })
})

describe('a sweep', () => {
  test('delivers what is overdue, does what the function owns besides, and relays both', async ({ db }) => {
    const { app, relayed } = start(db)
    await write(db)
    const answer = await sweep(app)
    expect([answer.status, await answer.json()]).toEqual([200, { delivered: 1, written: 2 }])
    expect(relayed).toEqual([['w', 'swept']])
  })

  test.for([
    [undefined, 60],
    ['0', 0],
    ['12.5', 12.5],
    ['-5', 0],
    ['1e9', 3_600],
    ['NaN', 60],
    ['Infinity', 60],
    ['x', 60],
  ] as const)('takes %s for a grace of %d seconds', ([query, seconds]) => expect(graceOf(query)).toBe(seconds))
})
