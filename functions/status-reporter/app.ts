import type { Db } from '#shared/db/connect.ts'
import { eventApp } from '#shared/edge/event-app.ts'
import type { App } from '#shared/edge/serve.ts'
import type { GitHub } from '#shared/forge/github/client.ts'
import type { Log } from '#shared/log.ts'
import type { Relay } from '#shared/outbox/relay.ts'
import { githubForge } from './github.ts'
import { statusReporter, sweepReporter } from './handler.ts'
import { store } from './store.ts'

/** The service comment and the labels of a subject follow the state of its runs. */
export function create({ db, relay, log, github }: { db: Db; relay: Relay; log: Log; github: GitHub }): App {
  const deps = { ...store(db), forge: (project: Parameters<typeof githubForge>[1]) => githubForge(github, project) }
  return eventApp({
    consumer: 'status-reporter',
    db,
    relay,
    log,
    handle: statusReporter(deps),
    sweep: sweepReporter(deps),
    close: () => db.destroy(),
  })
}
