import * as v from 'valibot'
import { connect } from '#shared/db/connect.ts'
import { newestMigration } from '#shared/db/newest-migration.ts'
import { sharedPace } from '#shared/db/pace.ts'
import { serve } from '#shared/edge/serve.ts'
import { BaseUrl, common, forge, Namespaces, readEnv, services, serviceUrlBy } from '#shared/env.ts'
import { readGitHubAuth } from '#shared/forge/github/auth-directory.ts'
import { createGitHub } from '#shared/forge/github/client.ts'
import { createLog } from '#shared/log.ts'
import { createRelay } from '#shared/outbox/relay.ts'
import { startTracing } from '#shared/telemetry/trace.ts'
import { create } from './app.ts'
import { tokenReviewer } from './token-review.ts'

/** A list with commas; white space around a name is not a part of it. */
const names = (otherwise: string) =>
  v.pipe(
    v.optional(v.string(), otherwise),
    v.transform((text) => text.split(',').map((each) => each.trim())),
    v.transform((list) => list.filter((name) => name !== '')),
  )
const Admins = v.pipe(names(''), v.array(v.pipe(v.string(), v.regex(/^(user|group):[!-~]{1,253}$/))))

const env = readEnv(
  v.object({
    ...common,
    ...forge,
    ...services,
    SECRETS_DIR: v.pipe(v.string(), v.minLength(1)),
    /** Audiences of tokens that are taken. */
    STAFF_AUDIENCES: v.pipe(names('codex-k8s'), v.minLength(1)),
    /** The first admins: `user:NAME` or `group:NAME`, with commas. */
    STAFF_ADMINS: Admins,
    /** Where the forge reaches webhook-gateway; empty: not said. */
    PUBLIC_URL: v.optional(v.union([v.literal(''), BaseUrl]), ''),
    RUN_NAMESPACES: v.optional(Namespaces, ''),
    KUBERNETES_URL: v.optional(BaseUrl, 'https://kubernetes.default.svc'),
    /** Folder of our own ServiceAccount; empty: the Kubernetes API asks for nothing. */
    SERVICE_ACCOUNT_DIR: v.optional(v.string(), '/var/run/secrets/kubernetes.io/serviceaccount'),
  }),
)
const log = createLog('staff-api', env.LOG_LEVEL)
const db = connect(env.DATABASE_URL, { name: 'staff-api' })
const relay = createRelay({ db, brokerUrl: env.BROKER_URL, deadlineMs: 1_500 })
const pace = sharedPace(db, env.GITHUB_URL)
const auth = readGitHubAuth(env.FORGE_AUTH_DIR)
const github = createGitHub({ instance: env.GITHUB_URL, auth, log, pace })
const review = tokenReviewer({
  url: env.KUBERNETES_URL,
  accountDir: env.SERVICE_ACCOUNT_DIR === '' ? undefined : env.SERVICE_ACCOUNT_DIR,
  audiences: env.STAFF_AUDIENCES,
})
const config = {
  audiences: env.STAFF_AUDIENCES,
  admins: env.STAFF_ADMINS,
  publicUrl: env.PUBLIC_URL === '' ? undefined : env.PUBLIC_URL,
  runNamespaces: env.RUN_NAMESPACES,
  secretsDir: env.SECRETS_DIR,
  forgeAuth: auth.kind,
  newestMigration,
  serviceUrl: serviceUrlBy(env),
}

await startTracing('staff-api', env)
// Several questions to the forge, and the labels of a repository that has none yet.
await serve(create(config, { db, relay, log, github, review }), {
  port: env.PORT,
  host: env.HOST,
  log,
  requestTimeoutMs: 60_000,
})
