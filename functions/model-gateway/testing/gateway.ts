import pino from 'pino'
import { onTestFinished } from 'vitest'
import { connect, type Db } from '#shared/db/connect.ts'
import { listen } from '#shared/edge/serve.ts'
import { create } from '../app.ts'
import { runTokenKey, type TestRun } from './run.ts'

/** The provider's key; no test may see it outside of the request to the provider. */
export const modelKey = 'sk-canary-0123456789'

/** A gateway that listens, and what it said and relayed. */
export interface Gateway {
  readonly url: string
  /** Everything logged so far. */
  readonly log: () => string
  readonly relayed: string[]
  /** `POST /v1/responses`, or what the options say, with the run's token. */
  ask(run: Pick<TestRun, 'token'>, body?: unknown, options?: { path?: string; method?: string; signal?: AbortSignal }): Promise<Response>
}

/** The smallest request that is admitted. */
export const question = { model: 'gpt-5.5', stream: true, input: [{ type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Hi' }] }] }

/** Starts the app on a port, with connections of its own; both end with the test. */
export async function startGateway(databaseUrl: string, modelUrl: string, options: { readonly key?: string; readonly leaseSeconds?: number } = {}): Promise<Gateway> {
  const lines: string[] = []
  const relayed: string[] = []
  const db: Db = connect(databaseUrl, { name: 'model-gateway' })
  const relay = { after: async (ids: readonly string[]) => void relayed.push(...ids), overdue: async () => 0 }
  const log = pino({ level: 'debug' }, { write: (line: string) => lines.push(line) })
  const { leaseSeconds = 15, key = modelKey } = options
  const served = await listen(create({ modelUrl, modelKey: key, runTokenKey, leaseSeconds }, { db, relay, log }), { port: 0 })
  onTestFinished(() => served.close())
  return {
    url: served.url,
    log: () => lines.join(''),
    relayed,
    ask: ({ token }, body = question, { path = '/v1/responses', method = 'POST', signal } = {}) =>
      fetch(served.url + path, {
        method,
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
        ...(method === 'POST' && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
        ...(signal && { signal }),
      }),
  }
}
