import { expect, onTestFinished } from 'vitest'
import { startBroker } from '../../deploy/local/broker/broker.ts'
import { create as reconciler } from '../../functions/reconciler/app.ts'
import { eventApp } from '#shared/edge/event-app.ts'
import { listen, type App } from '#shared/edge/serve.ts'
import { noRelay, quiet } from '#shared/edge/testing/post.ts'
import { PermanentError, RetryLater } from '#shared/errors.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import { createRelay } from '#shared/outbox/relay.ts'
import { addProject, addRun, say } from '#shared/run/testing/rows.ts'
import { test } from '../support/database.ts'

test.for<[string, string, Error]>([
  ['quarantined when its consumer fails at it', 'quarantined', new Error('a bug')],
  ['quarantined when its consumer refuses it', 'quarantined', new PermanentError('never')],
  ['still pending when its consumer asked for later', 'pending', new RetryLater('the forge is away')],
])('F13, F22: an event that the broker gives up on is %s', async ([, state, error], { db }) => {
  const serve = async (app: App) => {
    const served = await listen(app, { port: 0, host: '127.0.0.1' })
    onTestFinished(() => served.close())
    return served.url
  }
  // The database is the fixture's to close.
  const close = async () => {}
  const handle = () => Promise.reject(error)
  const gate = await serve(eventApp({ consumer: 'approval-gate', db, relay: noRelay, log: quiet, handle, close }))
  const sink = await serve({ ...reconciler({ serviceUrl: () => gate }, { db, relay: noRelay, log: quiet }), close })
  const services: Record<string, string> = { 'approval-gate': gate, reconciler: sink }
  const broker = await startBroker({
    eventing: new URL('../../eventing/', import.meta.url),
    resolve: (name) => services[name] ?? 'http://127.0.0.1:9',
    backoffScale: 0.001,
  })
  onTestFinished(() => broker.stop())

  const id = await say(db, EVENT_TYPES.stageRequested, await addRun(db, await addProject(db)))
  await createRelay({ db, brokerUrl: broker.url, deadlineMs: 5_000 }).after([id])
  await broker.idle()

  const row = db
    .selectFrom('deliveries')
    .select('state')
    .where('outbox_id', '=', id)
    .where('consumer', '=', 'approval-gate')
  expect(await row.executeTakeFirst()).toEqual({ state })
})
