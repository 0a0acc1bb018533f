import * as v from 'valibot'
import { connect } from '#shared/db/connect.ts'
import { serve } from '#shared/edge/serve.ts'
import { common, readEnv } from '#shared/env.ts'
import { createLog } from '#shared/log.ts'
import { startTracing } from '#shared/telemetry/trace.ts'
import { create } from './app.ts'

const env = readEnv(v.object(common))
const log = createLog('audit-sink', env.LOG_LEVEL)
const db = connect(env.DATABASE_URL, { name: 'audit-sink' })

await startTracing('audit-sink', env)
await serve(create({ db, log }), { port: env.PORT, host: env.HOST, log })
