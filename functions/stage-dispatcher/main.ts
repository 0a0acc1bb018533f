import * as v from 'valibot'
import { connect } from '#shared/db/connect.ts'
import { serve } from '#shared/edge/serve.ts'
import { BaseUrl, common, Namespaces, readEnv, TokenKey } from '#shared/env.ts'
import { Resources } from '#shared/job/bundle.ts'
import { createLog } from '#shared/log.ts'
import { createRelay } from '#shared/outbox/relay.ts'
import { startTracing } from '#shared/telemetry/trace.ts'
import { create } from './app.ts'
import { usualResources } from './job-spec.ts'
import { kubernetesLauncher } from './kubernetes-launcher.ts'
import { processLauncher } from './process-launcher.ts'

const env = readEnv(
  v.object({
    ...common,
    RUN_TOKEN_KEY: TokenKey,
    RUN_GATEWAY_URL: BaseUrl,
    MODEL_GATEWAY_URL: BaseUrl,
    /** Where Jobs run on a cluster, the first by default. Empty: agents are processes of this machine. */
    RUN_NAMESPACES: v.optional(Namespaces, ''),
    /** Brings runner, Node and CLI into every Job. */
    AGENT_IMAGE: v.optional(v.string(), 'codex-k8s/agent'),
    /** What an agent may use where its stage does not say: `{"cpu":"2","memory":"4Gi","storage":"8Gi"}`, each if wanted. */
    RUN_RESOURCES: v.optional(v.pipe(v.string(), v.parseJson(), Resources), '{}'),
    LAUNCHER_DIR: v.optional(v.string(), '/tmp/jobs'),
    SUPERVISOR: v.optional(v.string(), ''),
    AGENT: v.optional(v.string(), ''),
    CODEX_BINARY: v.optional(v.string(), ''),
    SANDBOX: v.optional(v.picklist(['workspace-write', 'none']), 'workspace-write'),
    AGENT_PATH: v.optional(v.string(), '/usr/local/bin:/usr/bin:/bin'),
    /** Our own address as a supervisor reaches it. */
    KNOCK_URL: v.optional(BaseUrl),
    AGENT_UID: v.optional(v.pipe(v.string(), v.toNumber(), v.integer())),
  }),
)
const log = createLog('stage-dispatcher', env.LOG_LEVEL)
const db = connect(env.DATABASE_URL, { name: 'stage-dispatcher' })
const relay = createRelay({ db, brokerUrl: env.BROKER_URL, deadlineMs: 1_500 })

const cluster = () =>
  kubernetesLauncher({
    place: {
      agentImage: env.AGENT_IMAGE,
      runGatewayUrl: env.RUN_GATEWAY_URL,
      modelGatewayUrl: env.MODEL_GATEWAY_URL,
      resources: { ...usualResources, ...env.RUN_RESOURCES },
    },
    api: async () => (await import('./kubernetes-api.ts')).jobApi(),
    log,
  })
const machine = () =>
  processLauncher({
    directory: env.LAUNCHER_DIR,
    supervisor: env.SUPERVISOR,
    command: [process.execPath, env.AGENT],
    env: {
      RUN_GATEWAY_URL: env.RUN_GATEWAY_URL,
      MODEL_GATEWAY_URL: env.MODEL_GATEWAY_URL,
      CODEX_BINARY: env.CODEX_BINARY,
      SANDBOX: env.SANDBOX,
      PATH: env.AGENT_PATH,
      LANG: 'C.UTF-8',
    },
    user: env.AGENT_UID === undefined ? undefined : { uid: env.AGENT_UID, gid: env.AGENT_UID },
    knockUrl: env.KNOCK_URL,
  })

const launcher = env.RUN_NAMESPACES.length > 0 ? cluster() : machine()
const config = { tokenKey: env.RUN_TOKEN_KEY, namespaces: env.RUN_NAMESPACES }

await startTracing('stage-dispatcher', env)
await serve(create(config, { db, relay, log, launcher }), { port: env.PORT, host: env.HOST, log })
