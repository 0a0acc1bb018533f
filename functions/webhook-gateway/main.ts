import * as v from 'valibot'
import { connect } from '#shared/db/connect.ts'
import { serve } from '#shared/edge/serve.ts'
import { common, readEnv } from '#shared/env.ts'
import { createLog } from '#shared/log.ts'
import { post } from '#shared/outbox/post.ts'
import { createRelay } from '#shared/outbox/relay.ts'
import { startTracing } from '#shared/telemetry/trace.ts'
import { create } from './app.ts'
import { createBreaker } from './breaker.ts'

const env = readEnv(
  v.object({
    ...common,
    SECRETS_DIR: v.pipe(v.string(), v.minLength(1)),
    TRUSTED_PROXIES: v.optional(v.pipe(v.string(), v.toNumber(), v.integer(), v.minValue(0), v.maxValue(10))),
    /** Where functions are that may stand at zero, as `http://{function}.namespace`; unset: nobody is woken. */
    SERVICE_URL_TEMPLATE: v.optional(v.pipe(v.string(), v.includes('{function}'))),
  }),
)
const log = createLog('webhook-gateway', env.LOG_LEVEL)
const db = connect(env.DATABASE_URL, { name: 'webhook-gateway' })
const relay = createRelay({ db, brokerUrl: env.BROKER_URL, deadlineMs: 300, post: createBreaker(post) })

await startTracing('webhook-gateway', env)
const wakes = ['label-router', 'stage-dispatcher'].flatMap(
  (name) => env.SERVICE_URL_TEMPLATE?.replace('{function}', name) ?? [],
)
const config = { secretsDir: env.SECRETS_DIR, trustedProxies: env.TRUSTED_PROXIES, wakes }
await serve(create(config, { db, relay, log }), { port: env.PORT, host: env.HOST, log })
