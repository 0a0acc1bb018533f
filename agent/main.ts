import { readFileSync, rmSync } from 'node:fs'
import * as v from 'valibot'
import { BaseUrl, readEnv } from '#shared/env.ts'
import { Failure } from './failure.ts'
import { run } from './run.ts'

const env = readEnv(
  v.object({
    RUN_GATEWAY_URL: BaseUrl,
    MODEL_GATEWAY_URL: BaseUrl,
    RUN_TOKEN_FILE: v.pipe(v.string(), v.minLength(1)),
    WORK_DIR: v.pipe(v.string(), v.startsWith('/')),
    HEARTBEAT_FILE: v.optional(v.pipe(v.string(), v.startsWith('/'))),
    CODEX_BINARY: v.pipe(v.string(), v.startsWith('/')),
    SANDBOX: v.optional(v.picklist(['workspace-write', 'none']), 'workspace-write'),
    SANDBOX_NETWORK: v.optional(v.picklist(['denied', 'allowed']), 'denied'),
    PATH: v.string(),
  }),
)

const [runToken = '', modelToken = ''] = readFileSync(env.RUN_TOKEN_FILE, 'utf8')
  .split('\n')
  .map((line) => line.trim())
try {
  rmSync(env.RUN_TOKEN_FILE)
} catch {
  // A mounted Secret cannot be removed; there the agent must not be able to read it.
}
if (runToken === '' || modelToken === '') {
  process.stderr.write('RUN_TOKEN_FILE: expected two lines, the run token and the model token\n')
  process.exit(78)
}

const stop = new AbortController()
for (const name of ['SIGTERM', 'SIGINT'] as const) {
  process.once(name, () => stop.abort(new Failure('stopped', 'The run was stopped.')))
}

const delivered = await run(
  {
    runGatewayUrl: env.RUN_GATEWAY_URL,
    modelGatewayUrl: env.MODEL_GATEWAY_URL,
    runToken,
    modelToken,
    workDir: env.WORK_DIR,
    heartbeatFile: env.HEARTBEAT_FILE,
    codexBinary: env.CODEX_BINARY,
    sandbox: env.SANDBOX,
    network: env.SANDBOX_NETWORK === 'allowed',
    path: env.PATH,
  },
  stop.signal,
)
process.exit(stop.signal.aborted ? 143 : delivered ? 0 : 1)
