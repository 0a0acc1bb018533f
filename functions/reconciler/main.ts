import * as v from 'valibot'
import { connect } from '#shared/db/connect.ts'
import { serve } from '#shared/edge/serve.ts'
import { common, readEnv, services, serviceUrlBy } from '#shared/env.ts'
import { createLog } from '#shared/log.ts'
import { createRelay } from '#shared/outbox/relay.ts'
import { startTracing } from '#shared/telemetry/trace.ts'
import { create } from './app.ts'

const env = readEnv(
  v.object({
    ...common,
    ...services,
    /** `on`: `GET /metrics` answers. */
    METRICS: v.optional(v.picklist(['on', 'off']), 'off'),
  }),
)
const log = createLog('reconciler', env.LOG_LEVEL)
const db = connect(env.DATABASE_URL, { name: 'reconciler' })
const relay = createRelay({ db, brokerUrl: env.BROKER_URL, deadlineMs: 20_000 })

await startTracing('reconciler', env)
await serve(create({ serviceUrl: serviceUrlBy(env), metrics: env.METRICS === 'on' }, { db, relay, log }), {
  port: env.PORT,
  host: env.HOST,
  log,
})
