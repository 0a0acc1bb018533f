import { create as approvalGate } from '../../functions/approval-gate/app.ts'
import { create as auditSink } from '../../functions/audit-sink/app.ts'
import { create as changePublisher } from '../../functions/change-publisher/app.ts'
import { create as labelRouter } from '../../functions/label-router/app.ts'
import { create as modelGateway } from '../../functions/model-gateway/app.ts'
import { create as reconciler } from '../../functions/reconciler/app.ts'
import { create as runGateway } from '../../functions/run-gateway/app.ts'
import { create as stageDispatcher } from '../../functions/stage-dispatcher/app.ts'
import { processLauncher, type ProcessOptions } from '../../functions/stage-dispatcher/process-launcher.ts'
import { create as staffApi } from '../../functions/staff-api/app.ts'
import { tokenReviewer } from '../../functions/staff-api/token-review.ts'
import { create as statusReporter } from '../../functions/status-reporter/app.ts'
import { create as webhookGateway } from '../../functions/webhook-gateway/app.ts'
import { createBreaker } from '../../functions/webhook-gateway/breaker.ts'
import { connect } from '#shared/db/connect.ts'
import { newestMigration } from '#shared/db/newest-migration.ts'
import { sharedPace } from '#shared/db/pace.ts'
import { listen, type App, type Served } from '#shared/edge/serve.ts'
import { readGitHubAuth } from '#shared/forge/github/auth-directory.ts'
import { createGitHub } from '#shared/forge/github/client.ts'
import { createLog, type Log } from '#shared/log.ts'
import { post } from '#shared/outbox/post.ts'
import { createRelay } from '#shared/outbox/relay.ts'
import type { Rates } from '#shared/pace.ts'
import { defaultWorkflow } from '#shared/workflow/default-workflow.ts'
import { withGates, type Gates } from '#shared/workflow/gates.ts'

/** Every function, by the name of its folder and its Knative Service. */
export const FUNCTIONS = [
  'webhook-gateway',
  'label-router',
  'approval-gate',
  'stage-dispatcher',
  'run-gateway',
  'model-gateway',
  'change-publisher',
  'status-reporter',
  'audit-sink',
  'reconciler',
  'staff-api',
] as const
export type FunctionName = (typeof FUNCTIONS)[number]

/** What the functions of one machine share. JSON, so that it can be handed to a process of its own. */
export interface FunctionsOptions {
  /** As a member of `codex_k8s_functions`. */
  readonly databaseUrl: string
  /** As a member of `codex_k8s_audit`; for audit-sink alone. */
  readonly auditDatabaseUrl: string
  readonly brokerUrl: string
  /** Port of each function; they stay the same over restarts, as Services do. */
  readonly ports: Readonly<Record<FunctionName, number>>
  readonly forge: {
    readonly url: string
    readonly authDir: string
    /** Left out: the forge's own. */
    readonly rates?: Rates
  }
  readonly secretsDir: string
  readonly model: {
    readonly url: string
    readonly key: string
    readonly names: readonly string[]
    readonly name?: string
  }
  readonly tokenKey: string
  /** Who answers TokenReviews, and who is an admin from the start; left out: nobody gets in. */
  readonly staff?: { readonly kubernetesUrl: string; readonly admins: readonly string[] }
  /** Gates of this installation, by stage. */
  readonly gates?: Gates
  readonly launcher: Omit<ProcessOptions, 'env' | 'knockUrl'> & { readonly env: Readonly<Record<string, string>> }
  readonly logLevel: 'silent' | 'debug' | 'info' | 'warn' | 'error'
}

/** The base URL of a function on this machine. */
export function localUrl(ports: Readonly<Record<FunctionName, number>>, name: string): string {
  return `http://127.0.0.1:${ports[name as FunctionName]}`
}

/** Runs every function in this process, each on its own port behind real HTTP, with clients of its own. */
export async function startFunctions(
  options: FunctionsOptions,
  logTo?: { write(line: string): void },
): Promise<{ close(): Promise<void> }> {
  const { forge, ports, model, tokenKey } = options
  const workflow = withGates(await defaultWorkflow(), options.gates ?? {})
  const auth = readGitHubAuth(forge.authDir)
  const serviceUrl = (name: string) => localUrl(ports, name)

  const clients = (name: FunctionName, deadlineMs = 1_500) => {
    const log: Log = createLog(name, options.logLevel, logTo)
    const db = connect(name === 'audit-sink' ? options.auditDatabaseUrl : options.databaseUrl, { name })
    const guarded = name === 'webhook-gateway' ? createBreaker(post) : post
    const relay = createRelay({ db, brokerUrl: options.brokerUrl, deadlineMs, post: guarded })
    const pace = sharedPace(db, forge.url, forge.rates)
    return { log, db, relay, github: createGitHub({ instance: forge.url, auth, log, pace }) }
  }
  const launcher = processLauncher({
    ...options.launcher,
    env: {
      ...options.launcher.env,
      RUN_GATEWAY_URL: serviceUrl('run-gateway'),
      MODEL_GATEWAY_URL: serviceUrl('model-gateway'),
    },
    knockUrl: serviceUrl('stage-dispatcher'),
  })
  const apps: Record<FunctionName, () => App> = {
    'webhook-gateway': () => webhookGateway({ secretsDir: options.secretsDir }, clients('webhook-gateway', 300)),
    'label-router': () => labelRouter({ workflow, models: model.names, model: model.name }, clients('label-router')),
    'approval-gate': () => approvalGate(clients('approval-gate')),
    'stage-dispatcher': () =>
      stageDispatcher({ tokenKey, namespaces: [] }, { ...clients('stage-dispatcher'), launcher }),
    'run-gateway': () => runGateway({ tokenKey, gitUrl: forge.url }, clients('run-gateway')),
    'model-gateway': () =>
      modelGateway({ runTokenKey: tokenKey, modelUrl: model.url, modelKey: model.key }, clients('model-gateway')),
    'change-publisher': () =>
      changePublisher({ canaries: [model.key].filter((key) => key.length > 15) }, clients('change-publisher')),
    'status-reporter': () => statusReporter(clients('status-reporter')),
    'audit-sink': () => auditSink(clients('audit-sink')),
    reconciler: () => reconciler({ serviceUrl, metrics: true }, clients('reconciler', 20_000)),
    'staff-api': () => {
      const { kubernetesUrl = 'http://127.0.0.1:9', admins = [] } = options.staff ?? {}
      const audiences = ['codex-k8s']
      const review = tokenReviewer({ url: kubernetesUrl, accountDir: undefined, audiences })
      const config = {
        audiences,
        admins,
        publicUrl: serviceUrl('webhook-gateway'),
        runNamespaces: [],
        secretsDir: options.secretsDir,
        forgeAuth: auth.kind,
        newestMigration,
        serviceUrl,
        checkAnswers: true,
      }
      return staffApi(config, { ...clients('staff-api'), review })
    },
  }
  const served: Served[] = []
  for (const name of FUNCTIONS) served.push(await listen(apps[name](), { port: ports[name], host: '127.0.0.1' }))
  return { close: async () => void (await Promise.all(served.map((one) => one.close()))) }
}
