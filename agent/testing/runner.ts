import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MODEL_TOKEN, RUN_TOKEN } from './gateways.ts'
import type { Gateways } from './gateways.ts'
import { temporaryFolder } from './repository.ts'

/** The runner as a process, the way a launcher starts it. */
export interface Runner {
  readonly child: ChildProcess
  readonly workDir: string
  /** What it touches while it lives. */
  readonly heartbeat: string
  /** Resolves with the exit code. */
  readonly ended: Promise<number | null>
  readonly printed: () => string
}

/** Starts `agent/main.ts` against the gateways. */
export function startRunner(gateways: Gateways, codexBinary: string, sandbox: 'workspace-write' | 'none'): Runner {
  const folder = temporaryFolder()
  const workDir = join(folder, 'work')
  const tokens = join(folder, 'tokens')
  const heartbeat = join(folder, 'heartbeat')
  mkdirSync(workDir)
  writeFileSync(heartbeat, '')
  utimesSync(heartbeat, 0, 0)
  writeFileSync(tokens, `${RUN_TOKEN}\n${MODEL_TOKEN}\n`, { mode: 0o600 })
  const child = spawn(process.execPath, [join(import.meta.dirname, '../main.ts')], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'] ?? '',
      RUN_GATEWAY_URL: gateways.url,
      MODEL_GATEWAY_URL: gateways.url,
      RUN_TOKEN_FILE: tokens,
      WORK_DIR: workDir,
      HEARTBEAT_FILE: heartbeat,
      CODEX_BINARY: codexBinary,
      SANDBOX: sandbox,
    },
  })
  let printed = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes: Buffer) => (printed += bytes.toString()))
  const ended = once(child, 'exit').then(([code]) => code as number | null)
  return { child, workDir, heartbeat, ended, printed: () => printed }
}
