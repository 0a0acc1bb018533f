import { createHash } from 'node:crypto'
import { EVENT_TYPES } from '#shared/events/types.ts'
import { mintToken } from '#shared/job/token.ts'
import { addProject, addRun, say } from '#shared/run/testing/rows.ts'
import type { Db } from '#shared/db/connect.ts'
import type { Ask } from './ask.ts'
import { eventAsk, onlyRow } from './event-ask.ts'
import type { Caught } from './servers.ts'

/** Asks the function whose turn it is; fails when the status is another one. */
export type Send = (status: number, asked: Ask) => Promise<unknown>

/** One function's turn in the way from a label to a pull request. */
export interface Step {
  readonly name: string
  /** The next real request for it; what the functions before it have done is in the database. */
  readonly ask: () => Promise<Ask>
  readonly status: number
  /** What has to happen at the same function before the next one has something to do. */
  readonly after?: (send: Send) => Promise<void>
}

/** Where an issue goes its way: one connected repository whose deliveries are caught and come to no function by themselves. */
export interface WayThrough {
  readonly db: Db
  /** OWNER/NAME */
  readonly repository: string
  readonly hookPath: string
  /** Of the agents' tokens. */
  readonly tokenKey: string
  readonly caught: readonly Caught[]
  /** Number of a new issue. */
  issue(): Promise<number>
  label(issue: number): Promise<void>
  /** Calls the forge as the repository's owner. */
  person<T>(method: 'GET' | 'POST', path: string, body?: unknown): Promise<T>
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

/**
 * The way of one issue through every function, each step with an event that the step before it has really written:
 * so every function can be started for exactly one event. The gate's turn is a run of another project.
 */
export async function walk(way: WayThrough): Promise<Step[]> {
  const { db } = way
  const issue = await way.issue()
  await way.label(issue)
  const run = () =>
    onlyRow(
      db.selectFrom('runs').selectAll().where('subject_number', '=', issue).orderBy('requested_at', 'desc').limit(1),
    )
  const runId = async () => (await run()).id
  const about = async (type: string, consumer: string) => eventAsk(db, consumer, type, `runs/${await runId()}`)
  const attempt = async () => {
    const row = await onlyRow(
      db
        .selectFrom('attempts')
        .selectAll()
        .where('run_id', '=', await runId()),
    )
    return { run: row.run_id, attempt: row.attempt, fence: row.fence }
  }
  const bearer = async (audience: 'run' | 'model') => ({
    authorization: `Bearer ${mintToken(way.tokenKey, audience, await attempt())}`,
    'content-type': 'application/json',
  })
  return [
    { name: 'webhook-gateway', status: 202, ask: () => delivery(way, issue) },
    {
      name: 'label-router',
      status: 202,
      ask: () => eventAsk(db, 'label-router', 'com.github.issues.labeled', String(issue)),
    },
    {
      name: 'approval-gate',
      status: 202,
      async ask() {
        const waiting = await addRun(db, await addProject(db), { state: 'waiting_approval' })
        await say(db, EVENT_TYPES.stageRequested, waiting, 'label-router')
        return eventAsk(db, 'approval-gate', EVENT_TYPES.stageRequested, `runs/${waiting.id}`)
      },
    },
    { name: 'stage-dispatcher', status: 202, ask: () => about(EVENT_TYPES.stageApproved, 'stage-dispatcher') },
    { name: 'status-reporter', status: 202, ask: () => about(EVENT_TYPES.runStarted, 'status-reporter') },
    {
      name: 'model-gateway',
      status: 200,
      async ask() {
        const body = JSON.stringify({ stream: true, input: 'Say hello.' })
        return { method: 'POST', path: '/v1/responses', headers: await bearer('model'), body }
      },
    },
    {
      name: 'run-gateway',
      status: 200,
      ask: async () => ({ method: 'GET', path: '/v1/input', headers: await bearer('run') }),
      after: async (send) => handIn(send, way, await bearer('run'), issue),
    },
    { name: 'change-publisher', status: 202, ask: () => about(EVENT_TYPES.runFinished, 'change-publisher') },
    { name: 'audit-sink', status: 202, ask: () => about(EVENT_TYPES.changePublished, 'audit-sink') },
    { name: 'reconciler', status: 202, ask: async () => ({ method: 'POST', path: '/sweep?grace=3600' }) },
  ]
}

/** The forge's own delivery of the label, as it was signed. */
async function delivery({ caught, hookPath }: WayThrough, issue: number): Promise<Ask> {
  for (let look = 0; look < 500; look += 1) {
    const found = caught.find(({ body }) => {
      const event = JSON.parse(body) as { action?: string; issue?: { number: number } }
      return event.action === 'labeled' && event.issue?.number === issue
    })
    if (found !== undefined) {
      const names = ['content-type', 'x-github-event', 'x-github-delivery', 'x-hub-signature-256']
      const headers = Object.fromEntries(names.map((name) => [name, String(found.headers[name])]))
      return { method: 'POST', path: hookPath, headers, body: found.body }
    }
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error(`the forge did not deliver the label of issue ${issue}`)
}

/** One small change as an agent would hand it in. */
async function handIn(
  send: Send,
  { person, repository }: WayThrough,
  headers: Record<string, string>,
  issue: number,
): Promise<void> {
  const text = `hello ${issue}\n`
  const blob = sha256(text)
  await send(204, { method: 'PUT', path: `/v1/blobs/${blob}`, headers, body: text })
  const { object } = await person<{ object: { sha: string } }>('GET', `/repos/${repository}/git/ref/heads/main`)
  const body = JSON.stringify({
    outcome: 'succeeded',
    base: object.sha,
    changes: [{ kind: 'write', path: `hello-${issue}.txt`, mode: '100644', blob, bytes: Buffer.byteLength(text) }],
    message: { title: 'Say hello', summary: 'Adds a greeting.', tests: 'None.' },
    session: null,
    log: null,
    usage: { inputTokens: 1, cachedInputTokens: 0, outputTokens: 1 },
  })
  await send(202, { method: 'POST', path: '/v1/result', headers, body })
}
