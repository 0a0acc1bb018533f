import * as v from 'valibot'
import { connect } from '#shared/db/connect.ts'
import { serve } from '#shared/edge/serve.ts'
import { BaseUrl, common, readEnv } from '#shared/env.ts'
import { createLog } from '#shared/log.ts'
import { createRelay } from '#shared/outbox/relay.ts'
import { startTracing } from '#shared/telemetry/trace.ts'
import { create } from './app.ts'

const Urls = v.pipe(v.optional(v.string(), '{}'), v.parseJson(), v.record(v.string(), BaseUrl))
const env = readEnv(
  v.object({
    ...common,
    /** `http://{function}.codex-k8s.svc.cluster.local` */
    SERVICE_URL_TEMPLATE: v.optional(v.string(), 'http://{function}'),
    /** Addresses that no template can name, as on one machine: a JSON object by function. */
    SERVICE_URLS: Urls,
    /** `on`: `GET /metrics` answers. */
    METRICS: v.optional(v.picklist(['on', 'off']), 'off'),
  }),
)
const log = createLog('reconciler', env.LOG_LEVEL)
const db = connect(env.DATABASE_URL, { name: 'reconciler' })
const relay = createRelay({ db, brokerUrl: env.BROKER_URL, deadlineMs: 20_000 })
const serviceUrl = (name: string) => env.SERVICE_URLS[name] ?? env.SERVICE_URL_TEMPLATE.replace('{function}', name)

await startTracing('reconciler', env)
await serve(create({ serviceUrl, metrics: env.METRICS === 'on' }, { db, relay, log }), {
  port: env.PORT,
  host: env.HOST,
  log,
})
