import { createHmac, randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from '#shared/db/connect.ts'
import { connectRepository } from '../../deploy/local/connect-repository.ts'
import { freePort } from '../../deploy/local/free-port.ts'
import { startChild } from '../performance/child.ts'
import { quantile } from '../performance/figures.ts'
import type { Ground } from '../performance/ground.ts'
import { startElsewhere } from '../performance/servers.ts'
import { eventually } from '../support/wait.ts'
import { sender, type Address, type Answer } from './sender.ts'

/** What was measured about one row of the threats, and whether its promise holds. */
export interface Verdict {
  readonly row: string
  readonly says: string
  readonly holds: boolean
}

/** The production bundle of the gateway in a process of its own, with a connected repository. */
export interface Gateway {
  readonly port: number
  readonly pid: number
  readonly hookPath: string
  /** Sends one small delivery, signed or not. */
  deliver(delivery?: Delivery): Promise<Answer>
  stop(): Promise<void>
}

/** What may differ from an authentic delivery over a kept connection from 127.0.0.1. */
export interface Delivery {
  readonly path?: string
  readonly signed?: boolean
  readonly from?: Address
}

const REPOSITORY_ID = 42

/** Starts it on a port of its own; the address of a connection is the sender's. `throttled`: see its throttle.ts. */
export async function startGateway(ground: Ground, { throttled }: { throttled: boolean }): Promise<Gateway> {
  const databaseUrl = await ground.database()
  const db = connect(databaseUrl, { name: 'nightly' })
  const elsewhere = await startElsewhere()
  const secretsDir = join(ground.folder, `secrets-${randomUUID()}`)
  const { hookPath, secret } = await connectRepository(db, secretsDir, {
    instance: 'https://api.github.com',
    repositoryId: String(REPOSITORY_ID),
    fullName: 'octo/repo',
    installationId: null,
    ownActorId: '1',
  })
  await db.destroy()
  const port = await freePort()
  const env = {
    PORT: String(port),
    DATABASE_URL: databaseUrl,
    BROKER_URL: elsewhere.brokerUrl,
    SECRETS_DIR: secretsDir,
    LOG_LEVEL: 'silent',
    ...(throttled && { TRUSTED_PROXIES: '0' }),
  }
  const child = await startChild(await ground.bundleOf('webhook-gateway'), { env })
  await eventually(async () => (await fetch(`http://127.0.0.1:${port}/healthz`)).ok, { what: 'the gateway to listen' })

  const body = JSON.stringify({ action: 'started', repository: { id: REPOSITORY_ID, url: 'x' }, sender: { id: 1 } })
  const right = `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`
  const send = sender(port)
  const wrong = `sha256=${'0'.repeat(64)}`
  return {
    port,
    pid: child.pid,
    hookPath,
    deliver: ({ path = hookPath, signed = true, from = '127.0.0.1' } = {}) =>
      send({ path, body, signature: signed ? right : wrong, from }),
    async stop() {
      send.close()
      await child.stop()
      elsewhere.close()
    },
  }
}

/** The 99th percentile of an ordinary sender at another address that delivers every 10 ms, milliseconds. */
export async function p99(gateway: Gateway, forMs: number): Promise<number> {
  const times: number[] = []
  for (const end = performance.now() + forMs; performance.now() < end; await sleep(10)) {
    const { status, ms } = await gateway.deliver({ from: '127.0.0.2' })
    times.push(status === 202 ? ms : Infinity)
  }
  return quantile(
    times.toSorted((a, b) => a - b),
    0.99,
  )
}
