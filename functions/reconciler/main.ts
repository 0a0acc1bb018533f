import * as v from 'valibot'
import { connect } from '#shared/db/connect.ts'
import { serve } from '#shared/edge/serve.ts'
import { common, readEnv } from '#shared/env.ts'
import { createLog } from '#shared/log.ts'
import { createRelay } from '#shared/outbox/relay.ts'
import { create } from './app.ts'

const env = readEnv(v.object({ ...common, SERVICE_URL_TEMPLATE: v.pipe(v.string(), v.includes('{function}')) }))
const log = createLog('reconciler', env.LOG_LEVEL)
const db = connect(env.DATABASE_URL, { name: 'reconciler' })
const relay = createRelay({ db, brokerUrl: env.BROKER_URL, deadlineMs: 20_000 })
const serviceUrl = (name: string) => env.SERVICE_URL_TEMPLATE.replace('{function}', name)

await serve(create({ serviceUrl }, { db, relay, log }), { port: env.PORT, log })
