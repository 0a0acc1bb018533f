import pino from 'pino'
import { connect } from '#shared/db/connect.ts'
import { listen, type Served } from '#shared/edge/serve.ts'
import { test as databaseTest } from '../../../test/support/database.ts'
import { create } from '../app.ts'
import { question } from './question.ts'
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
  ask(
    run: Pick<TestRun, 'token'>,
    body?: unknown,
    options?: { path?: string; method?: string; signal?: AbortSignal },
  ): Promise<Response>
}

type Start = (modelUrl: string, options?: { readonly key?: string; readonly leaseSeconds?: number }) => Promise<Gateway>

/** A `test` whose `startGateway` serves the app on a port, with connections of its own to the test's database. */
export const test = databaseTest.extend<{ startGateway: Start }>({
  // A fixture, not `onTestFinished`: the gateway has to be gone before its database is.
  startGateway: async ({ databaseUrl }, use) => {
    const leave = new AbortController()
    const started: Served[] = []
    await use(async (modelUrl, { leaseSeconds = 15, key = modelKey } = {}) => {
      const lines: string[] = []
      const relayed: string[] = []
      const relay = { after: async (ids: readonly string[]) => void relayed.push(...ids), overdue: async () => 0 }
      const clients = {
        db: connect(databaseUrl, { name: 'model-gateway' }),
        relay,
        log: pino({ level: 'debug' }, { write: (line: string) => lines.push(line) }),
      }
      const served = await listen(create({ modelUrl, modelKey: key, runTokenKey, leaseSeconds }, clients), { port: 0 })
      started.push(served)
      return { url: served.url, log: () => lines.join(''), relayed, ask: asking(served.url, leave.signal) }
    })
    // Streams that a test left open are not drained.
    leave.abort()
    await Promise.all(started.map((served) => served.close()))
  },
})

function asking(url: string, leave: AbortSignal): Gateway['ask'] {
  return ({ token }, body = question, { path = '/v1/responses', method = 'POST', signal } = {}) =>
    fetch(url + path, {
      method,
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      ...(method === 'POST' && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      signal: AbortSignal.any([leave, ...(signal ? [signal] : [])]),
    })
}
