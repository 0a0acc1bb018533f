import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { SECRET } from '../../functions/webhook-gateway/testing/gateway.ts'
import { spawnNode, type NodeProcess } from './processes.ts'

/** One replica of the webhook-gateway as it runs in its container: its own `main.ts` as a process. */
export interface GatewayProcess {
  readonly url: string
  readonly process: NodeProcess
}

/** Starts a replica; its hooks have the secret of the gateway's tests. */
export async function startGatewayProcess(databaseUrl: string, brokerUrl: string): Promise<GatewayProcess> {
  const secretsDir = mkdtempSync(join(tmpdir(), 'gateway-'))
  onTestFinished(() => rmSync(secretsDir, { recursive: true, force: true }))
  writeFileSync(join(secretsDir, 'main'), SECRET)
  const script = fileURLToPath(new URL('../../functions/webhook-gateway/main.ts', import.meta.url))
  const process = spawnNode(script, {
    env: { DATABASE_URL: databaseUrl, BROKER_URL: brokerUrl, SECRETS_DIR: secretsDir, PORT: '0' },
  })
  const [, url = ''] = await process.waitForLine(/"url":"([^"]+)".*"listening"/)
  return { url, process }
}
