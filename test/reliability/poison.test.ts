import { expect, onTestFinished } from 'vitest'
import { startBroker, type Broker } from '../../deploy/local/broker/broker.ts'
import { create as reconciler } from '../../functions/reconciler/app.ts'
import type { Db } from '#shared/db/connect.ts'
import { eventApp } from '#shared/edge/event-app.ts'
import { listen, type App } from '#shared/edge/serve.ts'
import { noRelay, quiet, sweep } from '#shared/edge/testing/post.ts'
import type { Consumer } from '#shared/events/subscriptions.ts'
import type { Handler } from '#shared/outbox/deliver.ts'
import { redrive } from '#shared/outbox/redrive.ts'
import { createRelay } from '#shared/outbox/relay.ts'
import { requestStages } from '#shared/run/testing/rows.ts'
import { test } from '../support/database.ts'

const by = { producer: 'staff-api', by: 'maria' }

/** Tries of the broker: eight repeats and the first. */
const TRIES = 9

test('F22: one of 1,000 events is poison: the other 999 are done, it is quarantined after nine tries, and a redrive after the repair is one effect', async ({
  db,
}) => {
  const ids = await requestStages(db, 1_000)
  const poison = ids[500] ?? ''
  const world = await start(db, { sink: true })
  world.fails.add(poison)
  await send(db, world.broker)
  expect(world.effects.size).toBe(999)
  expect(new Set(world.effects.values())).toEqual(new Set([1]))
  const tries = world.broker.ledger.entries.filter(
    ({ kind, trigger, id }) => kind === 'attempted' && trigger?.startsWith('approval-gate') && id === poison,
  )
  expect(tries).toHaveLength(TRIES)
  expect(await stateOf(db, poison)).toBe('quarantined')

  // Nothing touches it until somebody says so.
  world.fails.clear()
  await sweep(world.gate)
  expect(world.effects.has(poison)).toBe(false)
  expect(await redrive(db, 'approval-gate', poison, by)).toHaveLength(2)
  expect(await redrive(db, 'approval-gate', poison, by)).toEqual([])
  await Promise.all([sweep(world.gate), sweep(world.gate)])
  expect(world.effects.get(poison)).toBe(1)
  expect(await stateOf(db, poison)).toBe('done')
  expect(await redrive(db, 'approval-gate', poison, by)).toEqual([])
}, 120_000)

test('F22: a redrive before the repair ends in quarantine again', async ({ db }) => {
  const [poison = ''] = await requestStages(db, 1)
  const world = await start(db, { sink: true })
  world.fails.add(poison)
  await send(db, world.broker)
  expect(await redrive(db, 'approval-gate', poison, by)).toHaveLength(2)
  expect(await stateOf(db, poison)).toBe('pending')
  await send(db, world.broker)
  expect(await stateOf(db, poison)).toBe('quarantined')
})

test('F23: with the dead-letter sink down a poison event is dropped by the broker and not lost by us', async ({
  db,
}) => {
  const ids = await requestStages(db, 10)
  const [poison = ''] = ids
  const world = await start(db, { sink: false })
  world.fails.add(poison)
  await send(db, world.broker)
  expect(world.broker.ledger.counts()).toMatchObject({ dropped: 1, 'dead-lettered': 0 })
  expect(await stateOf(db, poison)).toBe('pending')
  world.fails.clear()
  await sweep(world.gate)
  expect([...world.effects.values()]).toEqual(Array(10).fill(1))
  expect(await stateOf(db, poison)).toBe('done')
})

/** Puts everything on the broker and waits until it holds nothing. */
async function send(db: Db, broker: Broker): Promise<void> {
  await createRelay({ db, brokerUrl: broker.url, deadlineMs: 60_000 }).overdue(0)
  await broker.idle()
}

const stateOf = async (db: Db, id: string) =>
  (
    await db
      .selectFrom('deliveries')
      .select('state')
      .where('outbox_id', '=', id)
      .where('consumer', '=', 'approval-gate')
      .executeTakeFirstOrThrow()
  ).state

/** A broker, a gate that counts its effects and fails at what it is told, and consumers at which nothing happens. */
async function start(db: Db, { sink }: { sink: boolean }) {
  const effects = new Map<string, number>()
  const fails = new Set<string>()
  const close = async () => {}
  const edge = (consumer: Consumer, handle: Handler) =>
    eventApp({ consumer, db, relay: noRelay, log: quiet, handle, close })
  const urls: Record<string, string> = {}
  const serve = async (name: string, app: App) => {
    const served = await listen(app, { port: 0, host: '127.0.0.1' })
    onTestFinished(() => served.close())
    urls[name] = served.url
  }
  const gate = edge('approval-gate', async ({ outboxId }) => ({
    outcome: 'counted',
    async write() {
      if (fails.has(outboxId)) throw new Error('a bug')
      effects.set(outboxId, (effects.get(outboxId) ?? 0) + 1)
    },
  }))
  await serve('approval-gate', gate)
  await serve(
    'status-reporter',
    edge('status-reporter', async () => ({ outcome: 'nothing' })),
  )
  // Only the ledger settles what is meant for it; here it is not written.
  await serve('audit-sink', { fetch: () => new Response(null, { status: 202 }), close })
  if (sink)
    await serve('reconciler', { ...reconciler({ serviceUrl: () => '' }, { db, relay: noRelay, log: quiet }), close })
  const broker = await startBroker({
    eventing: new URL('../../eventing/', import.meta.url),
    resolve: (name) => urls[name] ?? 'http://127.0.0.1:9',
    backoffScale: 0.001,
  })
  onTestFinished(() => broker.stop())
  return { broker, gate, effects, fails }
}
