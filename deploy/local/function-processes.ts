import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { FUNCTIONS, localUrl, type FunctionName, type FunctionsOptions } from './functions.ts'

/** How long a function may take to listen, milliseconds. */
const START_MS = 20_000

/** Runs each function's own main.ts as a process, told by its environment what a Knative Service is told. */
export async function startProcesses(
  options: FunctionsOptions,
  logTo: { write(line: string): void },
  died: (reason: string) => void,
): Promise<{ close(): Promise<void> }> {
  let closing = false
  const children = FUNCTIONS.map((name) => {
    const child = spawn(
      process.execPath,
      [fileURLToPath(new URL(`../../functions/${name}/main.ts`, import.meta.url))],
      {
        env: environment(name, options),
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    )
    const listening = new Promise<void>((resolve, reject) => {
      setTimeout(() => reject(new Error(`${name} did not start within ${START_MS / 1000} s`)), START_MS).unref()
      child.once('exit', (code, signal) => {
        reject(new Error(`${name} ended (${signal ?? code}) while it started`))
        if (!closing) died(`${name} ended (${signal ?? `status ${code}`})`)
      })
      for (const stream of [child.stdout, child.stderr]) {
        createInterface({ input: stream }).on('line', (line) => {
          logTo.write(`${line}\n`)
          if (line.includes('"msg":"listening"')) resolve()
        })
      }
    })
    return { child, listening }
  })
  const close = async () => {
    closing = true
    const alive = children.filter(({ child }) => child.exitCode === null && child.signalCode === null)
    await Promise.all(
      alive.map(({ child }) => new Promise((resolve) => child.once('exit', resolve) && child.kill('SIGTERM'))),
    )
  }
  try {
    await Promise.all(children.map(({ listening }) => listening))
  } catch (error) {
    await close()
    throw error
  }
  return { close }
}

/** What a function's Service would be told, as environment variables. */
export function environment(name: FunctionName, options: FunctionsOptions): Record<string, string> {
  const { databaseUrl, auditDatabaseUrl, brokerUrl, ports, forge, secretsDir, model, tokenKey, launcher, logLevel } =
    options
  const telemetry = Object.entries(process.env).filter(([variable]) => variable.startsWith('OTEL_'))
  const common = {
    ...(Object.fromEntries(telemetry) as Record<string, string>),
    HOST: '127.0.0.1',
    PORT: String(ports[name]),
    DATABASE_URL: name === 'audit-sink' ? auditDatabaseUrl : databaseUrl,
    BROKER_URL: brokerUrl,
    LOG_LEVEL: logLevel,
  }
  const github = { GITHUB_URL: forge.url, FORGE_AUTH_DIR: forge.authDir }
  const serviceUrls = JSON.stringify(Object.fromEntries(FUNCTIONS.map((each) => [each, localUrl(ports, each)])))
  const own: Partial<Record<FunctionName, Record<string, string>>> = {
    'webhook-gateway': { SECRETS_DIR: secretsDir },
    'label-router': {
      ...github,
      MODELS: model.names.join(','),
      ...(options.gates && { GATES: JSON.stringify(options.gates) }),
      ...(model.name !== undefined && { MODEL: model.name }),
    },
    'approval-gate': github,
    'stage-dispatcher': {
      RUN_TOKEN_KEY: tokenKey,
      RUN_GATEWAY_URL: localUrl(ports, 'run-gateway'),
      MODEL_GATEWAY_URL: localUrl(ports, 'model-gateway'),
      KNOCK_URL: localUrl(ports, 'stage-dispatcher'),
      LAUNCHER_DIR: launcher.directory,
      SUPERVISOR: launcher.supervisor,
      AGENT: launcher.command.at(-1) ?? '',
      CODEX_BINARY: launcher.env['CODEX_BINARY'] ?? '',
      SANDBOX: launcher.env['SANDBOX'] ?? '',
      AGENT_PATH: launcher.env['PATH'] ?? '',
      ...(launcher.user && { AGENT_UID: String(launcher.user.uid) }),
    },
    'run-gateway': { ...github, RUN_TOKEN_KEY: tokenKey, GIT_URL: forge.url },
    'model-gateway': { RUN_TOKEN_KEY: tokenKey, MODEL_URL: model.url, MODEL_KEY: model.key },
    'change-publisher': github,
    'status-reporter': github,
    'staff-api': {
      ...github,
      SECRETS_DIR: secretsDir,
      STAFF_ADMINS: options.staff?.admins.join(',') ?? '',
      PUBLIC_URL: localUrl(ports, 'webhook-gateway'),
      KUBERNETES_URL: options.staff?.kubernetesUrl ?? 'http://127.0.0.1:9',
      SERVICE_ACCOUNT_DIR: '',
      SERVICE_URLS: serviceUrls,
    },
    // On this machine a function is known by its port.
    reconciler: {
      METRICS: 'on',
      SERVICE_URLS: serviceUrls,
    },
  }
  return { ...common, ...own[name] }
}
