import { expect } from 'vitest'
import type { Db } from '#shared/db/connect.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import { addProject, addRun, say } from '#shared/run/testing/rows.ts'
import { staff } from './testing/staff.ts'
import { test } from './testing/test.ts'

/** An event of a run that its consumer could not handle. */
async function deadLetter(db: Db) {
  const project = await addProject(db)
  const run = await addRun(db, project)
  const event = await say(db, EVENT_TYPES.stageRequested, run)
  await db
    .updateTable('deliveries')
    .set({ state: 'quarantined', outcome: 'poison', settled_at: new Date() })
    .where('outbox_id', '=', event)
    .where('consumer', '=', 'approval-gate')
    .execute()
  return { project, run, event }
}

test('an event is listed and shown with what became of it', async ({ db }) => {
  const { call } = await staff(db)
  const { project, run, event } = await deadLetter(db)
  const { json } = await call(
    'GET',
    `/v1/events?run=${run.id}&project=${project.id}&type=${EVENT_TYPES.stageRequested}`,
  )
  expect(json).toMatchObject({
    events: [{ id: event, project: project.id, deliveries: { quarantined: 1 } }],
    next: null,
  })
  expect((await call('GET', `/v1/events/${event}`)).json).toMatchObject({
    data: { run: run.id },
    deliveries: [
      { consumer: 'approval-gate', state: 'quarantined', outcome: 'poison' },
      { consumer: 'audit-sink', state: 'pending' },
    ],
    ledger: null,
  })
})

test('dead letters are listed in parts and redriven once, by who may on each', async ({ db }) => {
  const { call, grant } = await staff(db)
  const [mine, theirs] = [await deadLetter(db), await deadLetter(db)]
  await grant('olga', 'operator', mine.project.id)
  const first = await call('GET', '/v1/dead-letters?limit=1')
  const rest = await call('GET', `/v1/dead-letters?limit=1&cursor=${String(first.json['next'])}`)
  const listed = [first, rest].flatMap(({ json }) => json['deadLetters'] as { event: string }[])
  expect(listed.map(({ event }) => event).toSorted()).toEqual([mine.event, theirs.event].toSorted())
  expect(rest.json['next']).toBeNull()
  const own = await call('GET', '/v1/dead-letters', { as: 'olga' })
  expect(own.json).toMatchObject({ deadLetters: [{ event: mine.event }] })

  const consumer = 'approval-gate'
  const body = { deliveries: [mine, theirs].map(({ event }) => ({ event, consumer })) }
  const redrive = () => call('POST', '/v1/dead-letters/redrive', { as: 'olga', body })
  expect((await redrive()).json).toEqual({
    redriven: [{ event: mine.event, consumer }],
    left: [{ event: theirs.event, consumer }],
  })
  expect((await redrive()).json).toMatchObject({ redriven: [] })
  const row = await db.selectFrom('outbox').select('sent_at').where('id', '=', mine.event).executeTakeFirstOrThrow()
  expect(row.sent_at).toBeNull()
  const said = await db.selectFrom('outbox').select('event').where('type', '=', EVENT_TYPES.deliveryRedriven).execute()
  expect(said.map(({ event }) => event['data'])).toEqual([{ outbox: mine.event, consumer, by: 'olga' }])
})
