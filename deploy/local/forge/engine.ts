import { readFileSync } from 'node:fs'
import { findPackageJSON } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

import { createEmulator } from 'emulate'

import type {
  AppRow,
  BlobRow,
  BranchRow,
  CollaboratorRow,
  CommentRow,
  CommitRow,
  IssueEventRow,
  IssueRow,
  LabelRow,
  New,
  PullRow,
  RefRow,
  RepoRow,
  ReviewRow,
  Row,
  TagRow,
  TreeRow,
  UserRow,
} from './rows.ts'

/** One table of the emulator. */
export interface Collection<T extends Row> {
  autoId: number
  insert(row: New<T>): T
  get(id: number): T | undefined
  findBy(field: keyof T & string, value: unknown): T[]
  findOneBy(field: keyof T & string, value: unknown): T | undefined
  update(id: number, change: Partial<T>): T | undefined
  delete(id: number): boolean
  all(): T[]
  clear(): void
}

/** The emulator's tables that we read or write ourselves. */
export interface State {
  readonly apps: Collection<AppRow>
  readonly users: Collection<UserRow>
  readonly repos: Collection<RepoRow>
  readonly collaborators: Collection<CollaboratorRow>
  readonly labels: Collection<LabelRow>
  readonly issues: Collection<IssueRow>
  readonly pullRequests: Collection<PullRow>
  readonly comments: Collection<CommentRow>
  readonly reviews: Collection<ReviewRow>
  readonly issueEvents: Collection<IssueEventRow>
  readonly refs: Collection<RefRow>
  readonly branches: Collection<BranchRow>
  readonly commits: Collection<CommitRow>
  readonly trees: Collection<TreeRow>
  readonly blobs: Collection<BlobRow>
  readonly tags: Collection<TagRow>
}

/** As whom the emulator handles a request. */
export interface Acting {
  readonly login: string
  readonly id: number
  readonly scopes: readonly string[]
  readonly installation?: {
    readonly installationId: number
    readonly appId: number
    readonly accountId: number
    readonly accountType: string
    readonly permissions: Readonly<Record<string, string>>
    readonly repositoryIds: readonly number[]
    readonly repositorySelection: 'all' | 'selected'
  }
}

/** Called by the emulator once per webhook event, before any delivery. */
export type Dispatch = (
  event: string,
  action: string | undefined,
  payload: unknown,
  owner: string,
  repo?: string,
) => void

/** The emulator, opened up: its tables and its request handler, without its own authentication and deliveries. */
export interface Engine {
  readonly state: State
  onDispatch(dispatch: Dispatch): void
  request(acting: Acting, request: { method: string; path: string; body?: string }): Promise<Response>
}

interface Store {
  readonly collections: Map<string, Collection<Row>>
}
interface Inside {
  readonly app: { fetch(request: Request): Promise<Response> }
  readonly store: Store
  readonly webhooks: { dispatch: (...event: Parameters<Dispatch>) => Promise<void> }
  readonly tokens: Map<string, Acting>
}
interface Plugin {
  register(
    app: Inside['app'],
    store: Store,
    webhooks: Inside['webhooks'],
    baseUrl: string,
    tokens: Inside['tokens'],
  ): void
}

const waiting = new Map<string, (inside: Inside) => void>()

// The package exports no way in, so the plugin's own register function is wrapped. Its file has a hash in its name, which
// the package's entry tells.
async function openPlugin(): Promise<void> {
  const folder = join(findPackageJSON('emulate', import.meta.url) ?? '', '../dist')
  const entry = readFileSync(join(folder, 'api.js'), 'utf8')
  const file = /import\("\.\/([^"]+)"\);\s*return \{\s*plugin: mod\.githubPlugin/.exec(entry)?.[1]
  if (file === undefined) throw new Error('emulate: the GitHub plugin was not found; is it still version 0.12.2?')
  const { githubPlugin } = (await import(pathToFileURL(join(folder, file)).href)) as { githubPlugin: Plugin }
  const register = githubPlugin.register
  githubPlugin.register = (app, store, webhooks, baseUrl, tokens) => {
    register(app, store, webhooks, baseUrl, tokens)
    waiting.get(baseUrl)?.({ app, store, webhooks, tokens })
    waiting.delete(baseUrl)
  }
}
let opened: Promise<void> | undefined

/** Start an emulator whose ids begin at `firstId` and whose URLs begin with `url`. */
export async function openEngine(url: string, firstId: number): Promise<Engine> {
  await (opened ??= openPlugin())
  const inside = Promise.withResolvers<Inside>()
  waiting.set(url, inside.resolve)
  const emulator = await createEmulator({ service: 'github', port: 0, baseUrl: url })
  const { app, store, webhooks, tokens } = await inside.promise
  // Requests reach it in this process; nobody else has to.
  await emulator.close()
  // Its default users would be known to everybody who read its manual.
  tokens.clear()
  for (const collection of store.collections.values()) {
    collection.clear()
    collection.autoId = firstId
  }
  const table = <T extends Row>(name: string) => store.collections.get(`github.${name}`) as unknown as Collection<T>
  // The emulator counts requests per token and stops at 5,000; the front counts for real, so tokens here are changed in time.
  let requests = 0
  return {
    state: {
      apps: table('apps'),
      users: table('users'),
      repos: table('repos'),
      collaborators: table('collaborators'),
      labels: table('labels'),
      issues: table('issues'),
      pullRequests: table('pull_requests'),
      comments: table('comments'),
      reviews: table('reviews'),
      issueEvents: table('issue_events'),
      refs: table('refs'),
      branches: table('branches'),
      commits: table('commits'),
      trees: table('trees'),
      blobs: table('blobs'),
      tags: table('tags'),
    },
    onDispatch(dispatch) {
      webhooks.dispatch = (...event) => Promise.resolve(dispatch(...event))
    },
    async request(acting, { method, path, body }) {
      const scope = acting.installation ? JSON.stringify(acting.installation) : ''
      const token = `${acting.login} ${scope} ${Math.floor(requests++ / 4_000)}`
      tokens.set(token, acting)
      const headers = {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        accept: 'application/json',
      }
      return app.fetch(new Request(`${url}${path}`, { method, headers, ...(body === undefined ? {} : { body }) }))
    },
  }
}
