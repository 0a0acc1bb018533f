// oxlint-disable no-restricted-imports -- a folder below its function, and the support of all tests
import { createHmac, randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { connect as openSocket, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { connect, type Db } from '#shared/db/connect.ts'
import { listen } from '#shared/edge/serve.ts'
import { createLog } from '#shared/log.ts'
import { post } from '#shared/outbox/post.ts'
import { createRelay } from '#shared/outbox/relay.ts'
import { create, type Config } from '../app.ts'
import { createBreaker } from '../breaker.ts'

export { test } from '../../../test/support/database.ts'

/** Stands for GitHub in `projects.instance`. */
export const INSTANCE = 'https://api.github.com'

/** The secret of hooks that are made without another. */
export const SECRET = 'a secret of the tests'

/** A running gateway with its own connections and its own directory of secrets. */
export interface Gateway {
  readonly url: string
  /** Every log line, as text. */
  readonly log: readonly string[]
  setSecret(name: string, secret: string): Promise<void>
  stop(): Promise<void>
}

/** Starts one replica. Without a broker its events stay in the outbox. */
export async function startGateway(
  databaseUrl: string,
  brokerUrl = 'http://127.0.0.1:9',
  more: Omit<Config, 'secretsDir'> = {},
): Promise<Gateway> {
  const secretsDir = await mkdtemp(join(tmpdir(), 'webhook-gateway-'))
  const setSecret = (name: string, secret: string) => writeFile(join(secretsDir, name), secret)
  await setSecret('main', SECRET)
  const lines: string[] = []
  const log = createLog('webhook-gateway', 'info', { write: (line) => void lines.push(line) })
  const db = connect(databaseUrl, { name: 'webhook-gateway' })
  const relay = createRelay({ db, brokerUrl, deadlineMs: 300, post: createBreaker(post) })
  const served = await listen(create({ secretsDir, ...more }, { db, relay, log }), { port: 0 })
  let stopped: Promise<void> | undefined
  const stop = () => (stopped ??= served.close())
  onTestFinished(async () => {
    await stop()
    await rm(secretsDir, { recursive: true })
  })
  return { url: served.url, log: lines, setSecret, stop }
}

/** What a broker was sent. */
export interface Post {
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A broker that keeps what it gets and answers as told. */
export async function startBroker(status = 202): Promise<{ readonly url: string; readonly posts: readonly Post[] }> {
  const posts: Post[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      posts.push({ headers: request.headers, body: Buffer.concat(chunks).toString('utf8') })
      response.writeHead(status).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, posts }
}

/** Connects a repository; returns the project's id. */
export async function addProject(
  db: Db,
  repositoryId: string | number,
  more: { installationId?: string; settings?: object; state?: 'connected' | 'disconnected' } = {},
): Promise<string> {
  const { installationId = null, settings = {}, state = 'connected' } = more
  const row = await db
    .insertInto('projects')
    .values({
      provider: 'github',
      instance: INSTANCE,
      repository_id: String(repositoryId),
      full_name: `octo/repository-${repositoryId}`,
      installation_id: installationId,
      own_actor_id: '1',
      settings: JSON.stringify(settings),
      state,
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  return row.id
}

/** Adds a hook of a project, or of an App when there is none; returns the hook's id. */
export async function addHook(
  db: Db,
  projectId: string | null,
  secrets: { current?: string; previous?: string; previousUntil?: Date } = {},
): Promise<string> {
  const id = randomUUID().replaceAll('-', '')
  await db
    .insertInto('hooks')
    .values({
      id,
      provider: 'github',
      instance: INSTANCE,
      project_id: projectId,
      secret_name: secrets.current ?? 'main',
      previous_secret_name: secrets.previous ?? null,
      previous_until: secrets.previousUntil ?? null,
    })
    .execute()
  return id
}

/** What one delivery is made of; what is left out is as the forge would send it. */
export interface Sent {
  readonly body: Uint8Array | string | object
  readonly event?: string
  readonly delivery?: string
  readonly secret?: string
  readonly signature?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** Bytes of a body: an object is sent as its JSON. */
export function bytesOf(body: Sent['body']): Buffer {
  if (body instanceof Uint8Array) return Buffer.from(body)
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
}

/** `X-Hub-Signature-256` as GitHub makes it. */
export function sign(body: Sent['body'], secret = SECRET): string {
  return `sha256=${createHmac('sha256', secret).update(bytesOf(body)).digest('hex')}`
}

/** The answer to a delivery. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly json: Readonly<Record<string, unknown>>
}

/** Delivers over HTTP as a forge does. */
export async function deliver(gateway: { readonly url: string }, hook: string, sent: Sent): Promise<Answer> {
  const body = bytesOf(sent.body)
  const response = await fetch(`${gateway.url}/hooks/github/${hook}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-github-event': sent.event ?? 'issues',
      'x-github-delivery': sent.delivery ?? randomUUID(),
      'x-hub-signature-256': sent.signature ?? sign(body, sent.secret),
      ...sent.headers,
    },
    body: new Uint8Array(body),
  })
  const text = await response.text()
  const json = text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : {}
  return { status: response.status, headers: response.headers, text, json }
}

/** Writes bytes to a socket as they are and returns everything that comes back until the other side closes. */
export function exchange(url: string, ...parts: readonly (string | Uint8Array)[]): Promise<string> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve) => {
    let answer = ''
    const socket = openSocket(Number(port), hostname)
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => (answer += text))
    // A reset after the answer is what a sender that does not stop gets.
    socket.on('error', () => {})
    socket.on('close', () => resolve(answer))
    for (const part of parts) socket.write(part)
  })
}

/** The head of a POST to a hook, for tests that need every byte in their own hands. */
export function head(hook: string, headers: readonly string[]): string {
  const fixed = ['host: gateway', 'content-type: application/json', 'x-github-event: issues', 'x-github-delivery: 1']
  return [`POST /hooks/github/${hook} HTTP/1.1`, ...fixed, ...headers, '', ''].join('\r\n')
}

/** Everything answered 2xx is done, pending or visibly quarantined. */
export async function expectNothingLost(db: Db): Promise<void> {
  const sums = await db.selectFrom('accounting').selectAll().executeTakeFirstOrThrow()
  expect(sums.lost).toBe(0)
  expect(sums.accepted).toBe(sums.done + sums.pending + sums.quarantined)
}

/** A small body of the event that starts work. */
export function labeled(repositoryId: number, more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    action: 'labeled',
    issue: { id: 5, number: 7, title: 'A bug', body: 'It fails', updated_at: '2026-01-02T03:04:05Z' },
    label: { id: 9, name: 'run:dev' },
    repository: { id: repositoryId, full_name: 'octo/repo', url: 'https://api.github.com/repos/octo/repo' },
    sender: { id: 3, login: 'octocat', type: 'User', url: 'https://api.github.com/users/octocat' },
    ...more,
  }
}
