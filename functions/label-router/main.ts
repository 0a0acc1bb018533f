import * as v from 'valibot'
import { connect } from '#shared/db/connect.ts'
import { sharedPace } from '#shared/db/pace.ts'
import { serve } from '#shared/edge/serve.ts'
import { common, forge, readEnv } from '#shared/env.ts'
import { readGitHubAuth } from '#shared/forge/github/auth-directory.ts'
import { createGitHub } from '#shared/forge/github/client.ts'
import { createLog } from '#shared/log.ts'
import { createRelay } from '#shared/outbox/relay.ts'
import { defaultWorkflow } from '#shared/workflow/default-workflow.ts'
import { Gates, withGates } from '#shared/workflow/gates.ts'
import { startTracing } from '#shared/telemetry/trace.ts'
import { create } from './app.ts'

const List = v.pipe(
  v.optional(v.string(), ''),
  v.transform((text) => text.split(',').filter(Boolean)),
)
const GatesJson = v.pipe(v.optional(v.string(), '{}'), v.parseJson(), Gates)
const env = readEnv(v.object({ ...common, ...forge, MODELS: List, MODEL: v.optional(v.string()), GATES: GatesJson }))
const log = createLog('label-router', env.LOG_LEVEL)
const db = connect(env.DATABASE_URL, { name: 'label-router' })
const relay = createRelay({ db, brokerUrl: env.BROKER_URL, deadlineMs: 1_500 })
const pace = sharedPace(db, env.GITHUB_URL)
const github = createGitHub({ instance: env.GITHUB_URL, auth: readGitHubAuth(env.FORGE_AUTH_DIR), log, pace })
const workflow = withGates(await defaultWorkflow(), env.GATES)

await startTracing('label-router', env)
await serve(create({ workflow, models: env.MODELS, model: env.MODEL }, { db, relay, log, github }), {
  port: env.PORT,
  host: env.HOST,
  log,
})
