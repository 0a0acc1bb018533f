import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
// oxlint-disable-next-line no-restricted-imports -- the stand-in of npm start
import { startTokenReviews } from '../../../deploy/local/token-review.ts'
import type { Db } from '#shared/db/connect.ts'
import type { Row } from '#shared/db/schema.ts'
import { newestMigration } from '#shared/db/newest-migration.ts'
import { listen } from '#shared/edge/serve.ts'
import { keptLog, noRelay } from '#shared/edge/testing/post.ts'
import { createGitHub, type GitHub } from '#shared/forge/github/client.ts'
import { create } from '../app.ts'
import type { Config } from '../handler.ts'
import { tokenReviewer } from '../token-review.ts'

/** Tokens of the cluster's people; each is long enough to be found wherever it should not be. */
export const tokens = {
  root: 'canary-root-0123456789abcdef0123456789',
  olga: 'canary-olga-0123456789abcdef0123456789',
  vera: 'canary-vera-0123456789abcdef0123456789',
  nobody: 'canary-nobody-0123456789abcdef01234567',
  elsewhere: 'canary-elsewhere-0123456789abcdef0123',
  stranger: 'canary-stranger-0123456789abcdef01234',
} as const
export type Person = keyof typeof tokens

/** What a request carries besides its path. */
export interface Sent {
  readonly as?: Person
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** The API on a test's database, over HTTP, with people of a cluster: root is an admin, the others get what a test gives them. */
export async function staff(db: Db, more: Partial<Config> & { readonly github?: GitHub } = {}) {
  const { github, ...config } = more
  const reviews = await startTokenReviews({
    [tokens.root]: { user: 'root', groups: ['platform'] },
    [tokens.olga]: { user: 'olga', groups: ['system:authenticated', 'operators'] },
    [tokens.vera]: { user: 'vera', groups: ['system:authenticated'] },
    [tokens.nobody]: { user: 'nobody', groups: ['system:authenticated'] },
    [tokens.elsewhere]: { user: 'root', groups: ['platform'], audiences: ['https://kubernetes.default.svc'] },
  })
  const secretsDir = mkdtempSync(join(tmpdir(), 'staff-secrets-'))
  const { log, lines } = keptLog()
  const audiences = ['codex-k8s']
  const app = create(
    {
      audiences,
      admins: ['group:platform'],
      publicUrl: 'https://hooks.example',
      runNamespaces: ['codex-k8s-runs'],
      secretsDir,
      forgeAuth: 'app',
      newestMigration,
      serviceUrl: () => 'http://127.0.0.1:9',
      checkAnswers: true,
      ...config,
    },
    {
      db,
      relay: noRelay,
      log,
      github: github ?? createGitHub({ instance: 'http://127.0.0.1:9', auth: { kind: 'token', token: 'x' }, log }),
      review: tokenReviewer({ url: reviews.url, accountDir: undefined, audiences }),
    },
  )
  // The database is the test's own and closed by it.
  const served = await listen(
    { fetch: (request) => app.fetch(request), close: async () => {} },
    { port: 0, host: '127.0.0.1' },
  )
  onTestFinished(async () => {
    await served.close()
    await reviews.close()
    rmSync(secretsDir, { recursive: true, force: true })
  })
  return {
    url: served.url,
    lines,
    reviews,
    secretsDir,
    async call(method: string, path: string, { as = 'root', body, headers }: Sent = {}) {
      const response = await fetch(served.url + path, {
        method,
        headers: {
          authorization: `Bearer ${tokens[as]}`,
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
        body: body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body),
      })
      const text = await response.text()
      const json = (text.startsWith('{') ? JSON.parse(text) : {}) as Record<string, unknown>
      return {
        status: response.status,
        code: json['code'] as string | undefined,
        json,
        text,
        headers: response.headers,
      }
    },
    /** Gives a user a role as an admin would. */
    grant: (name: Person, role: Row<'grants'>['role'], project: string | null = null) =>
      db.insertInto('grants').values({ kind: 'user', name, role, project_id: project, granted_by: 'test' }).execute(),
    /** What the ledger will hear of what people did, oldest first. */
    acts: async () => {
      const rows = await db
        .selectFrom('outbox')
        .select('event')
        .where('type', '=', 'dev.codex-k8s.staff.acted.v1')
        .orderBy('seq')
        .execute()
      return rows.map(({ event }) => event['data'])
    },
  }
}
