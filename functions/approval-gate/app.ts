import type { Db } from '#shared/db/connect.ts'
import { eventApp } from '#shared/edge/event-app.ts'
import type { App } from '#shared/edge/serve.ts'
import type { Log } from '#shared/log.ts'
import type { Relay } from '#shared/outbox/relay.ts'
import { approvalGate } from './handler.ts'
import { store } from './store.ts'

/** Holds a gated stage; what has no gate passes. */
export function create({ db, relay, log }: { db: Db; relay: Relay; log: Log }): App {
  return eventApp({
    consumer: 'approval-gate',
    db,
    relay,
    log,
    handle: approvalGate(store(db)),
    close: () => db.destroy(),
  })
}
