import { randomUUID } from 'node:crypto'
import { describe, expect } from 'vitest'
import { addHook, addProject, deliver, labeled, startBroker } from '../../functions/webhook-gateway/testing/gateway.ts'
import type { Db } from '#shared/db/connect.ts'
import { test } from '../support/database.ts'
import { deliverSigned, pauseHooks, recordedDeliveries } from '../support/deliveries.ts'
import { startGatewayProcess } from '../support/gateway-process.ts'
import { expectOnceAndOnlyOnce } from '../support/invariants.ts'
import { unlimited } from '../support/mutant.ts'
import { eventually } from '../support/wait.ts'
import { startWorld, type World } from '../support/world.ts'

test('W5: the same delivery 1,000 times at three gateway processes is one row and one event', async ({
  db,
  databaseUrl,
}) => {
  const broker = await startBroker()
  const replicas = await Promise.all([1, 2, 3].map(() => startGatewayProcess(databaseUrl, broker.url)))
  const hook = await addHook(db, await addProject(db, 42))
  const sent = { body: labeled(42), delivery: randomUUID() }
  const sender = async (index: number) => {
    const answers = []
    for (let i = 0; i < 50; i += 1) answers.push(await deliver(replicas[index % 3] ?? replicas[0]!, hook, sent))
    return answers
  }
  const answers = (await Promise.all(Array.from({ length: 20 }, (_, index) => sender(index)))).flat()
  expect(answers).toHaveLength(1_000)
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]))
  expect(answers.filter(({ json }) => json['duplicate'] === false)).toHaveLength(1)
  expect(await db.selectFrom('inbox').select('delivery_id').execute()).toEqual([{ delivery_id: sent.delivery }])
  expect(new Set(broker.posts.map(({ headers }) => headers['ce-id']))).toEqual(new Set([sent.delivery]))
  const accounting = await db.selectFrom('accounting').selectAll().executeTakeFirstOrThrow()
  expect(accounting).toMatchObject({ accepted: 1, pending: 1, lost: 0, unsent: 0 })
})

test('W6: the same signed body under 200 new ids is one run', async ({ db, databaseUrl }) => {
  const world = await startWorld({ db, databaseUrl, functions: await unlimited(), seed: { rate_limit: 100_000 } })
  await pauseHooks(world, true)
  const issue = await world.issue()
  await world.label(issue)
  const [delivery] = await deliveriesOf(world, 1)
  await pauseHooks(world, false)
  const statuses: number[] = []
  const sender = async () => {
    for (let i = 0; i < 50; i += 1)
      statuses.push(await deliverSigned(world, { event: 'issues', body: delivery?.body ?? '' }))
  }
  await Promise.all([sender(), sender(), sender(), sender()])
  expect(new Set(statuses)).toEqual(new Set([202]))
  await world.drain()
  expect(
    await db
      .selectFrom('inbox')
      .select('id')
      .where('body_digest', '=', await digestOf(db))
      .execute(),
  ).toHaveLength(200)
  await expectOnceAndOnlyOnce(world, db, { runs: 1 })
})

test('W9: an issue that is opened with its label is one run, whichever of its deliveries comes first or twice', async ({
  db,
  databaseUrl,
}) => {
  const world = await startWorld({ db, databaseUrl })
  await pauseHooks(world, true)
  const orders = [
    ['opened', 'labeled'],
    ['labeled', 'opened'],
    ['labeled', 'labeled'],
  ]
  const issues = []
  for (const order of orders) {
    await world.person('POST', '/repos/maria/shop/issues', { title: order.join(), body: 'Hello.', labels: ['run:dev'] })
    issues.push({ order, recorded: await deliveriesOf(world, 2) })
  }
  await pauseHooks(world, false)
  for (const { order, recorded } of issues) {
    for (const action of order) {
      const { body = '' } = recorded.find((each) => each.body.includes(`"action":"${action}"`)) ?? {}
      expect(await deliverSigned(world, { event: 'issues', body })).toBe(202)
    }
  }
  await world.drain()
  await expectOnceAndOnlyOnce(world, db, { runs: 3 })
})

describe('a broker', () => {
  test('F7: that delivers a third of its events twice and in any order changes nothing', async ({
    db,
    databaseUrl,
  }) => {
    const world = await startWorld({ db, databaseUrl })
    world.broker.setFaults({ seed: 7, duplicate: 0.3, delayMs: 150 })
    for (let run = 0; run < 4; run += 1) await world.label(await world.issue())
    await world.drain()
    const delivered = world.broker.ledger.entries.filter(({ kind }) => kind === 'delivered')
    const different = new Set(delivered.map(({ id, trigger }) => `${id} ${trigger}`))
    expect(delivered.length - different.size, 'deliveries that were made twice').toBeGreaterThan(5)
    await expectOnceAndOnlyOnce(world, db, { runs: 4 })
  })

  test('F8: that loses what it holds again and again loses nothing of ours', async ({ db, databaseUrl }) => {
    const world = await startWorld({ db, databaseUrl })
    await world.drain()
    world.broker.pause()
    await world.label(await world.issue())
    // Everything that is accepted is lost, until the sweep has brought the run to its end all the same.
    await eventually(
      async () => {
        world.broker.lose()
        await world.sweep()
        return (await states(db)).join() === 'succeeded'
      },
      { what: 'the run', timeoutMs: 20_000 },
    )
    world.broker.lose()
    world.broker.resume()
    await world.drain()
    expect(world.broker.ledger.counts().lost).toBeGreaterThan(5)
    await expectOnceAndOnlyOnce(world, db, { runs: 1 })
  })
})

const states = async (db: Db) => (await db.selectFrom('runs').select('state').execute()).map(({ state }) => state)

/** The newest so many deliveries of the hook, once they were tried. */
async function deliveriesOf(world: World, count: number) {
  await eventually(async () => (await (await fetch(`${world.forgeUrl}/_forge/idle`)).text()) === '{"pending":0}', {
    what: 'the forge',
  })
  return recordedDeliveries(world, count)
}

async function digestOf(db: Db): Promise<string> {
  const row = await db
    .selectFrom('runs')
    .innerJoin('outbox', (join) => join.on('outbox.type', '=', 'com.github.issues.labeled'))
    .innerJoin('inbox', 'inbox.id', 'outbox.inbox_id')
    .select('inbox.body_digest')
    // Those after the first are labels of our own.
    .orderBy('outbox.seq')
    .executeTakeFirstOrThrow()
  return row.body_digest
}
