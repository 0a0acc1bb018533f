import * as v from 'valibot'
import { connect } from '#shared/db/connect.ts'
import { serve } from '#shared/edge/serve.ts'
import { BaseUrl, common, readEnv, TokenKey } from '#shared/env.ts'
import { createLog } from '#shared/log.ts'
import { createRelay } from '#shared/outbox/relay.ts'
import { startTracing } from '#shared/telemetry/trace.ts'
import { create } from './app.ts'

// A key that is no header value would be quoted in the error of whoever tries to send it.
const ModelKey = v.pipe(v.optional(v.string(), ''), v.trim(), v.regex(/^[\x21-\x7e]*$/))
const env = readEnv(v.object({ ...common, RUN_TOKEN_KEY: TokenKey, MODEL_URL: BaseUrl, MODEL_KEY: ModelKey }))
const log = createLog('model-gateway', env.LOG_LEVEL)
const db = connect(env.DATABASE_URL, { name: 'model-gateway' })
const relay = createRelay({ db, brokerUrl: env.BROKER_URL, deadlineMs: 1_500 })
const config = { modelUrl: env.MODEL_URL, modelKey: env.MODEL_KEY, runTokenKey: env.RUN_TOKEN_KEY }

await startTracing('model-gateway', env)
await serve(create(config, { db, relay, log }), { port: env.PORT, host: env.HOST, log, requestTimeoutMs: 60_000 })
