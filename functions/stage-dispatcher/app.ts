import type { Db } from '#shared/db/connect.ts'
import { eventApp } from '#shared/edge/event-app.ts'
import type { App } from '#shared/edge/serve.ts'
import type { Log } from '#shared/log.ts'
import type { Relay } from '#shared/outbox/relay.ts'
import { stageDispatcher, sweepDispatcher } from './handler.ts'
import type { Launcher } from './launcher.ts'
import { store } from './store.ts'

/** The key that run and model tokens are made with. */
export interface Config {
  readonly tokenKey: string
}

/** An approved run becomes one Job per attempt, as capacity allows. */
export function create(
  { tokenKey }: Config,
  { db, relay, log, launcher }: { db: Db; relay: Relay; log: Log; launcher: Launcher },
): App {
  const deps = { ...store(db, tokenKey), launcher }
  return eventApp({
    consumer: 'stage-dispatcher',
    db,
    relay,
    log,
    handle: stageDispatcher(deps),
    sweep: sweepDispatcher(deps),
    close: () => db.destroy(),
  })
}
