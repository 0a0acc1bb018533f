import * as v from 'valibot'
import { connect } from '#shared/db/connect.ts'
import { sharedPace } from '#shared/db/pace.ts'
import { serve } from '#shared/edge/serve.ts'
import { common, forge, readEnv } from '#shared/env.ts'
import { readGitHubAuth } from '#shared/forge/github/auth-directory.ts'
import { createGitHub } from '#shared/forge/github/client.ts'
import { createLog } from '#shared/log.ts'
import { createRelay } from '#shared/outbox/relay.ts'
import { startTracing } from '#shared/telemetry/trace.ts'
import { create } from './app.ts'

const env = readEnv(v.object({ ...common, ...forge }))
const log = createLog('approval-gate', env.LOG_LEVEL)
const db = connect(env.DATABASE_URL, { name: 'approval-gate' })
const relay = createRelay({ db, brokerUrl: env.BROKER_URL, deadlineMs: 1_500 })
const pace = sharedPace(db, env.GITHUB_URL)
const github = createGitHub({ instance: env.GITHUB_URL, auth: readGitHubAuth(env.FORGE_AUTH_DIR), log, pace })

await startTracing('approval-gate', env)
await serve(create({ db, relay, log, github }), { port: env.PORT, host: env.HOST, log })
