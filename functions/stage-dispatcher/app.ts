import { Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import type { Db } from '#shared/db/connect.ts'
import { answerError, eventApp } from '#shared/edge/event-app.ts'
import { problem } from '#shared/edge/problem.ts'
import { readEvent } from '#shared/edge/read-event.ts'
import type { App } from '#shared/edge/serve.ts'
import type { Log } from '#shared/log.ts'
import type { Relay } from '#shared/outbox/relay.ts'
import { knockAtDispatcher, stageDispatcher, sweepDispatcher } from './handler.ts'
import { isJobName } from './job-name.ts'
import type { Launcher } from './launcher.ts'
import { store, type Config } from './store.ts'

/** Largest event about a Job, bytes; the whole Job may be in it. */
const MAX_EVENT_BYTES = 1024 * 1024

/** An approved run becomes one Job per attempt, as capacity allows. */
export function create(
  config: Config,
  { db, relay, log, launcher }: { db: Db; relay: Relay; log: Log; launcher: Launcher },
): App {
  const deps = { ...store(db, config), launcher }
  const events = eventApp({
    consumer: 'stage-dispatcher',
    db,
    relay,
    log,
    handle: stageDispatcher(deps),
    sweep: sweepDispatcher(deps),
    close: () => db.destroy(),
  })
  const knockAt = knockAtDispatcher(deps)
  const knock = async (job: string) => {
    const written = await knockAt(job)
    await relay.after(written)
    if (written.length > 0) log.info({ job, written: written.length }, 'a Job ended without a result')
  }
  const app = new Hono()
  app.post('/jobs/:name/ended', async (c) => {
    const name = c.req.param('name')
    if (!isJobName(name)) return problem({ status: 400, code: 'not_a_job', title: 'Not the name of a Job' })
    await knock(name)
    return c.body(null, 202)
  })
  // An ApiServerSource's event about a Job. Its subject names the Job; what else it says is not read, and neither is whether
  // it is true: whoever sends one has a Job looked at.
  app.post('/jobs/changed', bodyLimit({ maxSize: MAX_EVENT_BYTES }), async (c) => {
    const { attributes } = await readEvent(c.req.raw)
    const [, name = ''] =
      /^\/apis\/batch\/v1\/namespaces\/[^/]+\/jobs\/([^/]+)$/.exec(attributes['subject'] ?? '') ?? []
    if (isJobName(name)) await knock(name)
    return c.body(null, 202)
  })
  app.all('*', (c) => events.fetch(c.req.raw))
  app.onError((error) => answerError(error, log))
  return {
    fetch: (request) => app.fetch(request),
    warm: () => Promise.all([events.warm?.(), launcher.warm?.()]),
    close: events.close,
  }
}
