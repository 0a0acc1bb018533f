import { Hono } from 'hono'
import type { Db } from '#shared/db/connect.ts'
import { answerError, eventApp } from '#shared/edge/event-app.ts'
import { problem } from '#shared/edge/problem.ts'
import type { App } from '#shared/edge/serve.ts'
import type { Log } from '#shared/log.ts'
import type { Relay } from '#shared/outbox/relay.ts'
import { knockAtDispatcher, stageDispatcher, sweepDispatcher } from './handler.ts'
import { isJobName } from './job-name.ts'
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
  const events = eventApp({
    consumer: 'stage-dispatcher',
    db,
    relay,
    log,
    handle: stageDispatcher(deps),
    sweep: sweepDispatcher(deps),
    close: () => db.destroy(),
  })
  const knock = knockAtDispatcher(deps)
  const app = new Hono()
  app.post('/jobs/:name/ended', async (c) => {
    const name = c.req.param('name')
    if (!isJobName(name)) return problem({ status: 400, code: 'not_a_job', title: 'Not the name of a Job' })
    const written = await knock(name)
    await relay.after(written)
    if (written.length > 0) log.info({ job: name, written: written.length }, 'a Job ended without a result')
    return c.body(null, 202)
  })
  app.all('*', (c) => events.fetch(c.req.raw))
  app.onError((error) => answerError(error, log))
  return { fetch: (request) => app.fetch(request), close: events.close }
}
