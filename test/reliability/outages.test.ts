import { expect } from 'vitest'
import {
  addHook,
  addProject,
  deliver,
  labeled,
  startBroker,
  startGateway,
} from '../../functions/webhook-gateway/testing/gateway.ts'
import { createRelay } from '#shared/outbox/relay.ts'
import { test } from '../support/database.ts'
import { eventually } from '../support/wait.ts'

/** Rows that a relay claims and posts together; within them there is no order. */
const BATCH = 100

test('F6: with the broker down every delivery of a burst is acknowledged, and when it is back the outbox drains in order of age', async ({
  db,
  databaseUrl,
}) => {
  const gateway = await startGateway(databaseUrl)
  const hook = await addHook(db, await addProject(db, 42))
  const statuses: number[] = []
  const sender = async () => {
    for (let sent = 0; sent < 50; sent += 1) statuses.push((await deliver(gateway, hook, { body: labeled(42) })).status)
  }
  await Promise.all(Array.from({ length: 8 }, sender))
  expect(statuses).toEqual(Array(400).fill(202))
  const accounting = () => db.selectFrom('accounting').selectAll().executeTakeFirstOrThrow()
  expect(await accounting()).toMatchObject({ accepted: 400, unsent: 400, lost: 0 })

  const broker = await startBroker()
  const relay = createRelay({ db, brokerUrl: broker.url, deadlineMs: 60_000 })
  const tried = await db.selectFrom('outbox').select('event_id').where('attempts', '>', 0).execute()
  await eventually(async () => (await relay.overdue(0), (await accounting()).unsent === 0), {
    what: 'the outbox to drain',
  })
  const rows = await db.selectFrom('outbox').select('event_id').orderBy('due_at').orderBy('seq').execute()
  const age = new Map(rows.map(({ event_id }, index) => [event_id, index]))
  const posted = [...new Set(broker.posts.map(({ headers }) => String(headers['ce-id'])))]
  expect(posted).toHaveLength(400)
  // Those that were tried while it was down are put off; all others go by their age.
  const early = new Set(tried.map(({ event_id }) => event_id))
  const outOfOrder = posted.filter(
    (id, index) => !early.has(id) && Math.abs(index - (age.get(id) ?? 0)) > BATCH + early.size,
  )
  expect(outOfOrder).toEqual([])
})
