import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll } from 'vitest'
import type { Db } from '#shared/db/connect.ts'
import type { Row } from '#shared/db/schema.ts'
import { transaction } from '#shared/db/transaction.ts'
import { sha256 } from '#shared/digest.ts'
import { createGitHub, type GitHub } from '#shared/forge/github/client.ts'
import { createLog } from '#shared/log.ts'
import { emit } from '#shared/outbox/write.ts'
import { eventually } from '../../../test/support/wait.ts'
import { startForge, type RunningForge } from '../../../deploy/local/forge/server.ts'
import { addProject, next } from './rows.ts'

/** The issues event of a webhook, as far as tests look into it. */
export interface IssuesBody {
  readonly action: string
  issue: { id: number; number: number; title: string; body: string | null; updated_at?: string }
  /** Instead of `issue` in what is told of a pull request. */
  readonly pull_request?: { readonly number: number; readonly head: { readonly sha: string } }
  readonly review?: {
    readonly id: number
    readonly commit_id: string
    readonly submitted_at: string
    body: string | null
  }
  label?: { name: string }
  sender: { id: number; login: string; type: string }
  readonly repository: { readonly id: number; readonly full_name: string }
}

/** What a request is answered instead of, or on top of, its normal course. */
export type Effect = 'drop-before' | 'apply-then-drop' | { readonly status: number; readonly body?: unknown }

/**
 * One forge simulator for a file of tests, as slow to start as a test: maria owns `maria/shop`, walt may write, theo
 * triage, eve read. Each test has issues of its own.
 */
export function forgeForFile() {
  let forge: RunningForge
  let github: GitHub
  let bot: { id: number; login: string }
  let repository: { id: number; full_name: string }
  let installation: number
  let hookSink: Server
  const folder = mkdtempSync(join(tmpdir(), 'forge-file-'))
  const hooks: IssuesBody[] = []

  beforeAll(async () => {
    const { privateKey } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    })
    forge = await startForge({
      data: folder,
      seed: {
        users: [
          { login: 'maria', id: 1001, token: 'maria-token' },
          { login: 'theo', id: 1002, token: 'theo-token' },
          { login: 'eve', id: 1003, token: 'eve-token' },
          { login: 'walt', id: 1004, token: 'walt-token' },
          { login: 'helper-bot', id: 1005, type: 'Bot', token: 'bot-token' },
        ],
        repos: [
          {
            owner: 'maria',
            name: 'shop',
            files: { 'README.md': '# shop\n', 'src/a.js': '1\n' },
            collaborators: { theo: 'triage', walt: 'write', 'helper-bot': 'admin' },
            labels: [
              'run:dev',
              'run:qa',
              'bug',
              'ai-model:gpt-5.4-mini',
              'ai-model:other',
              'ai-effort:low',
              'ai-effort:extra-high',
            ],
          },
        ],
        app: { app_id: 7, slug: 'codex-k8s', private_key: privateKey },
      },
    })
    hookSink = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        hooks.push(JSON.parse(Buffer.concat(chunks).toString('utf8')) as IssuesBody)
        response.end()
      })
    }).listen(0, '127.0.0.1')
    await once(hookSink, 'listening')
    const [app] = (await control('GET', '/apps')) as { bot: typeof bot; installations: { id: number }[] }[]
    bot = app?.bot ?? { id: 0, login: '' }
    installation = app?.installations[0]?.id ?? 0
    repository = await person('GET', '/repos/maria/shop')
    const log = createLog('test', 'silent')
    github = createGitHub({ instance: forge.url, auth: { kind: 'app', appId: '7', privateKey }, log })
    const url = `http://127.0.0.1:${(hookSink.address() as AddressInfo).port}/`
    await person('POST', '/repos/maria/shop/hooks', {
      name: 'web',
      active: true,
      events: ['issues', 'pull_request', 'pull_request_review'],
      config: { url, content_type: 'json' },
    })
  })
  afterEach(() => control('DELETE', '/faults'))
  afterAll(async () => {
    await forge.close()
    hookSink.closeAllConnections()
    hookSink.close()
    rmSync(folder, { recursive: true, force: true })
  })

  async function control(method: string, path: string, body?: unknown): Promise<unknown> {
    const init = body === undefined ? { method } : { method, body: JSON.stringify(body) }
    const response = await fetch(`${forge.url}/_forge${path}`, init)
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return text === '' ? undefined : JSON.parse(text)
  }

  async function person<T = Record<string, unknown>>(method: string, path: string, body?: unknown, login = 'maria') {
    const response = await fetch(`${forge.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${login === 'helper-bot' ? 'bot' : login}-token`,
        'content-type': 'application/json',
      },
      body: body === undefined ? null : JSON.stringify(body),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return (text === '' ? {} : JSON.parse(text)) as T
  }

  const issues = '/repos/maria/shop/issues'
  return {
    url: () => forge.url,
    github: () => github,
    /** A client as a machine user, whose token is not bound to one repository. */
    machine: () =>
      createGitHub({
        instance: forge.url,
        auth: { kind: 'token', token: 'walt-token' },
        log: createLog('test', 'silent'),
      }),
    bot: () => bot,
    repositoryId: () => String(repository.id),
    control,
    person,
    issues,
    async issue(title = 'Say hello', body: string | null = 'Please.') {
      const { number } = await person<{ number: number }>('POST', issues, { title, body })
      return number
    },
    /** The next webhook of an issue with this action that no test has taken. */
    async hook(issue: number, action: string): Promise<IssuesBody> {
      const about = ({ issue: subject, pull_request: pull }: Partial<IssuesBody>) => (subject ?? pull)?.number
      const find = () => hooks.findIndex((one) => about(one) === issue && one.action === action)
      await eventually(() => find() >= 0, { what: `a webhook ${action} of #${issue}` })
      return hooks.splice(find(), 1)[0] as IssuesBody
    },
    /** Sets a label as somebody would; the webhook of it. */
    async label(issue: number, label = 'run:dev', login = 'maria'): Promise<IssuesBody> {
      await person('POST', `${issues}/${issue}/labels`, { labels: [label] }, login)
      return this.hook(issue, 'labeled')
    },
    /** Requests changes of a pull request as somebody would; the webhook of it. */
    async review(pull: number, body = 'Not yet.', login = 'maria', comments: readonly object[] = []) {
      const review = { event: 'REQUEST_CHANGES', body, comments }
      await person('POST', `/repos/maria/shop/pulls/${pull}/reviews`, review, login)
      return this.hook(pull, 'submitted')
    },
    async unlabel(issue: number, label = 'run:dev'): Promise<IssuesBody> {
      await person('DELETE', `${issues}/${issue}/labels/${encodeURIComponent(label)}`)
      return this.hook(issue, 'unlabeled')
    },
    /** What the next requests that match are answered. */
    async fault(method: string, path: string, effect: Effect, times = 1) {
      // oxlint-disable-next-line unicorn/no-thenable -- the simulator's word
      await control('POST', '/faults', { method, path, times, then: effect })
    },
    async ledger(kind: string) {
      return (await control('GET', `/ledger?kind=${kind}`)) as Record<string, unknown>[]
    },
    /** The repository as a connected project of this test's database. */
    project(db: Db, more: Parameters<typeof addProject>[1] = {}): Promise<Row<'projects'>> {
      return addProject(db, {
        instance: forge.url,
        repository_id: String(repository.id),
        full_name: 'maria/shop',
        installation_id: String(installation),
        own_actor_id: String(bot.id),
        ...more,
      })
    },
  }
}

/** Stores a webhook's body as the gateway does, by default for whoever consumes run labels; returns the outbox row's id. */
export async function receive(
  db: Db,
  project: Row<'projects'>,
  body: object,
  {
    event = 'issues',
    extensions = { labelgroup: 'run' },
  }: { event?: string; extensions?: Record<string, string> } = {},
): Promise<string> {
  const { action = '', repository } = body as Partial<IssuesBody>
  const hook = `hook${String(next()).padStart(8, '0')}`
  const bytes = Buffer.from(JSON.stringify(body))
  await db
    .insertInto('hooks')
    .values({ id: hook, provider: 'github', instance: project.instance, project_id: project.id, secret_name: 'main' })
    .execute()
  const delivery = `delivery ${next()}`
  const inbox = await db
    .insertInto('inbox')
    .values({
      hook_id: hook,
      delivery_id: delivery,
      event_name: event,
      body: bytes,
      body_digest: sha256(bytes),
      project_id: project.id,
      state: 'accepted',
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  const source = `https://github.com/${repository?.full_name ?? 'a/b'}`
  const time = new Date().toISOString()
  return transaction(db, (tx) =>
    emit(tx, 'webhook-gateway', {
      type: `com.github.${event}.${action}`,
      subject: 'an issue',
      extensions,
      data: null,
      rows: {},
      forge: { inboxId: inbox.id, source, id: delivery, time },
    }),
  )
}
