import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import pino from 'pino'
import { onTestFinished } from 'vitest'
import type { Pace } from '#shared/pace.ts'
import { createGitHub } from '../client.ts'
import type { GitHubAuth } from '../client.ts'

/** A request as the server saw it. */
export interface Seen {
  readonly method: string
  /** Path and query. */
  readonly path: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Record<string, unknown>
}

/** What to answer: `drop` cuts the connection without a byte. */
export type Answer =
  | 'drop'
  | { readonly status?: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: unknown }

/** A repository that exists on no server. */
export const repo = { fullName: 'acme/shop', repositoryId: '42', installationId: '7' }

/** What no error and no log line may hold. */
export const SECRET = 'ghp_thisMayNeverBeSeen'

/** A server that answers by a function, with a client for it that logs into `logged`. */
export async function scripted(
  answer: (seen: Seen, count: number) => Answer,
  auth: GitHubAuth = { kind: 'token', token: SECRET },
  pace?: Pace,
) {
  const seen: Seen[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString('utf8')
      const { method = '', url: path = '', headers } = request
      const now = { method, path, headers, body: (text ? JSON.parse(text) : {}) as Record<string, unknown> }
      seen.push(now)
      const reply = answer(now, seen.length)
      if (reply === 'drop') return void request.socket.destroy()
      response.writeHead(reply.status ?? 200, { 'content-type': 'application/json', ...reply.headers })
      response.end(reply.status === 204 ? undefined : JSON.stringify(reply.body ?? {}))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const logged: string[] = []
  const log = pino({ level: 'debug' }, { write: (line: string) => void logged.push(line) })
  const github = createGitHub({ instance: url, auth, log, ...(pace && { pace }) })
  return { url, seen, logged, github, octokit: github.for(repo) }
}

/** Everything that a log of this error, with any serializer, could show. */
export function everythingIn(error: unknown): string {
  const parts: string[] = []
  const visit = (value: unknown, depth: number): void => {
    if (typeof value !== 'object' || value === null || depth > 6) return void parts.push(String(value))
    for (const key of Reflect.ownKeys(value)) {
      parts.push(String(key))
      visit((value as Record<PropertyKey, unknown>)[key], depth + 1)
    }
  }
  visit(error, 0)
  return parts.join('\n')
}
