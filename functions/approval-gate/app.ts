import type { Db } from '#shared/db/connect.ts'
import { eventApp } from '#shared/edge/event-app.ts'
import type { App } from '#shared/edge/serve.ts'
import type { GitHub } from '#shared/forge/github/client.ts'
import { readTokenOwner } from '#shared/forge/github/token-owner.ts'
import type { Log } from '#shared/log.ts'
import type { Relay } from '#shared/outbox/relay.ts'
import { approvalApi } from './api.ts'
import { githubForge } from './github.ts'
import { approvalGate, sweepGate } from './handler.ts'
import { store } from './store.ts'

/** Holds a gated stage until enough people who may have approved exactly what would run; what has no gate passes. */
export function create({ db, relay, log, github }: { db: Db; relay: Relay; log: Log; github: GitHub }): App {
  const deps = {
    ...store(db),
    forge: (project: Parameters<typeof githubForge>[1]) => githubForge(github, project),
    person: (token: string) => readTokenOwner(github.instance, token),
    relay,
    log,
  }
  const api = approvalApi(deps)
  const events = eventApp({
    consumer: 'approval-gate',
    db,
    relay,
    log,
    handle: approvalGate(deps),
    sweep: sweepGate(deps),
    close: () => db.destroy(),
  })
  const isApi = (request: Request) => new URL(request.url).pathname.startsWith('/v1/')
  return { fetch: (request) => (isApi(request) ? api.fetch(request) : events.fetch(request)), close: events.close }
}
