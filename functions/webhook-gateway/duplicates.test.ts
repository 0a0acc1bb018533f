import { randomUUID } from 'node:crypto'
import { describe, expect } from 'vitest'
import {
  addHook,
  addProject,
  deliver,
  expectNothingLost,
  labeled,
  startBroker,
  startGateway,
  test,
} from './testing/gateway.ts'

describe('the same delivery', () => {
  test('W5: 1,000 times over three replicas at once is one row and one message', async ({ databaseUrl, db }) => {
    const broker = await startBroker()
    const replicas = [
      await startGateway(databaseUrl, broker.url),
      await startGateway(databaseUrl, broker.url),
      await startGateway(databaseUrl, broker.url),
    ]
    const hook = await addHook(db, await addProject(db, 42))
    const sent = { body: labeled(42), delivery: randomUUID() }
    const answers: unknown[] = []
    const sender = async (replica: (typeof replicas)[number]) => {
      for (let i = 0; i < 125; i += 1) {
        const { status, json } = await deliver(replica, hook, sent)
        answers.push({ status, ...json })
      }
    }
    await Promise.all(Array.from({ length: 8 }, (_, index) => sender(replicas[index % 3] ?? replicas[0]!)))
    const first = answers.filter((answer) => !(answer as { duplicate: boolean }).duplicate)
    expect(first).toEqual([{ status: 202, state: 'accepted', duplicate: false }])
    expect(answers.length).toBe(1_000)
    expect(new Set(answers.map((answer) => (answer as { status: number }).status))).toEqual(new Set([202]))
    expect(await db.selectFrom('inbox').select('id').execute()).toHaveLength(1)
    expect(await db.selectFrom('outbox').select('id').where('inbox_id', 'is not', null).execute()).toHaveLength(1)
    expect(broker.posts).toHaveLength(1)
    await expectNothingLost(db)
  }, 60_000)

  test('W5: again takes along the event that had not reached the broker', async ({ databaseUrl, db }) => {
    const hook = await addHook(db, await addProject(db, 42))
    const sent = { body: labeled(42), delivery: randomUUID() }
    await deliver(await startGateway(databaseUrl), hook, sent)
    const broker = await startBroker()
    await deliver(await startGateway(databaseUrl, broker.url), hook, sent)
    expect(broker.posts.map(({ headers }) => headers['ce-id'])).toEqual([sent.delivery])
  })

  test('with another body is set aside and does not pass for the first', async ({ databaseUrl, db }) => {
    const gateway = await startGateway(databaseUrl)
    const hook = await addHook(db, await addProject(db, 42))
    const delivery = randomUUID()
    await deliver(gateway, hook, { body: labeled(42), delivery })
    const other = { body: labeled(42, { action: 'opened' }), delivery }
    expect((await deliver(gateway, hook, other)).json).toEqual({
      state: 'quarantined',
      reason: 'delivery_id_reused',
      duplicate: false,
    })
    expect((await deliver(gateway, hook, other)).json).toEqual({
      state: 'quarantined',
      reason: 'delivery_id_reused',
      duplicate: true,
    })
    expect(await db.selectFrom('outbox').select('id').where('inbox_id', 'is not', null).execute()).toHaveLength(1)
    expect(await db.selectFrom('inbox').select('id').execute()).toHaveLength(2)
    await expectNothingLost(db)
  })

  test('at two hooks of one repository is one event', async ({ databaseUrl, db }) => {
    const gateway = await startGateway(databaseUrl)
    const project = await addProject(db, 42)
    const [one, two] = [await addHook(db, project), await addHook(db, project)]
    const sent = { body: labeled(42), delivery: randomUUID() }
    const answers = await Promise.all([deliver(gateway, one, sent), deliver(gateway, two, sent)])
    expect(answers.map(({ status }) => status)).toEqual([202, 202])
    expect(new Set(answers.map(({ json }) => json['reason']))).toEqual(new Set(['event_id_taken', undefined]))
    expect(await db.selectFrom('outbox').select('id').where('inbox_id', 'is not', null).execute()).toHaveLength(1)
    await expectNothingLost(db)
  })
})
