import type { Db } from '#shared/db/connect.ts'
import type { Row } from '#shared/db/schema.ts'
import { sha256 } from '#shared/digest.ts'
import { keptLog, noRelay } from '#shared/edge/testing/post.ts'
import { createGitHub, type GitHub } from '#shared/forge/github/client.ts'
import { mintToken } from '#shared/job/token.ts'
import { addAttempt, addProject, addRun } from '#shared/run/testing/rows.ts'
import { create } from '../app.ts'

/** Key of the tokens of all tests. */
export const tokenKey = 'canary-run-token-key-0123456789abcdef'

/** What a request carries besides its path. */
export interface Sent {
  readonly token?: string
  readonly body?: string | Uint8Array<ArrayBuffer> | object
  readonly headers?: Readonly<Record<string, string>>
}

/** A gateway on a test's database, with everything that it logs. */
export function gateway(db: Db, more: { github?: GitHub; gitUrl?: string } = {}) {
  const { log, lines } = keptLog()
  const github =
    more.github ?? createGitHub({ instance: 'https://api.github.com', auth: { kind: 'token', token: 'x' }, log })
  const app = create({ tokenKey, gitUrl: more.gitUrl ?? 'http://127.0.0.1:9' }, { db, relay: noRelay, log, github })
  return {
    app,
    lines,
    async call(method: string, path: string, { token, body, headers }: Sent = {}) {
      const raw =
        typeof body === 'string' || body instanceof Uint8Array || body === undefined ? body : JSON.stringify(body)
      const response = await app.fetch(
        new Request(`http://gateway${path}`, {
          method,
          headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...headers },
          body: raw ?? null,
        }),
      )
      const text = await response.text()
      const code = text.startsWith('{') ? (JSON.parse(text) as { code?: string }).code : undefined
      return { status: response.status, code, text, headers: response.headers }
    },
    /** A run with an open attempt, and the attempt's token. */
    async run(options: Parameters<typeof addRun>[2] = {}, project?: Row<'projects'>) {
      const run = await addRun(db, project ?? (await addProject(db)), options)
      const attempt = await addAttempt(db, run.id)
      return { run, attempt, token: tokenOf(attempt) }
    },
  }
}

/** The run token of an attempt. */
export function tokenOf({ run_id, attempt, fence }: Row<'attempts'>, audience: 'run' | 'model' = 'run'): string {
  return mintToken(tokenKey, audience, { run: run_id, attempt, fence })
}

const usage = { inputTokens: 1, cachedInputTokens: 0, outputTokens: 1 }

/** A result that changes one file. */
export function succeeded(text = 'hello\n', more: object = {}) {
  const change = { kind: 'write', path: 'a.txt', mode: '100644', blob: sha256(text), bytes: text.length }
  const message = { title: 'Say hello', summary: 'Says it.', tests: 'None.' }
  return {
    outcome: 'succeeded',
    base: '0'.repeat(40),
    changes: [change],
    message,
    session: null,
    log: null,
    usage,
    ...more,
  }
}

/** A result that says why there is none. */
export function failed(more: object = {}) {
  return { outcome: 'failed', reason: 'agent_failed', detail: 'It fell over.', log: null, usage, ...more }
}
