import type { Db } from '#shared/db/connect.ts'
import { eventApp } from '#shared/edge/event-app.ts'
import type { App } from '#shared/edge/serve.ts'
import type { Log } from '#shared/log.ts'
import type { Relay } from '#shared/outbox/relay.ts'
import { auditSink } from './handler.ts'
import { store } from './store.ts'

/** Every event's record becomes an entry of the ledger. */
export function create({ db, relay, log }: { db: Db; relay: Relay; log: Log }): App {
  return eventApp({ consumer: 'audit-sink', db, relay, log, handle: auditSink(store(db)), close: () => db.destroy() })
}
