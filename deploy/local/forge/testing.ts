import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { createAppAuth } from '@octokit/auth-app'
import { Octokit } from '@octokit/core'
import { onTestFinished } from 'vitest'

import type { LedgerEntry } from './ledger.ts'
import type { Json } from './reply.ts'
import type { SeedInput } from './seed.ts'
import { startForge } from './server.ts'

const { privateKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
})

/** What every test's repository is called. */
export const at = { owner: 'alice', repo: 'calc' } as const

/** An owner, a writer, a stranger, an App, one repository. */
export const seed: SeedInput = {
  users: [
    { login: 'alice', id: 1001, token: 'token-alice', name: 'Alice' },
    { login: 'bob', id: 1002, token: 'token-bob' },
    { login: 'eve', id: 1003, token: 'token-eve' },
  ],
  repos: [
    {
      owner: at.owner,
      name: at.repo,
      files: { 'README.md': '# calc\n', 'src/add.js': 'a + b\n', 'bin/run': { text: '#!/bin/sh\n', mode: '100755' } },
      collaborators: { bob: 'write' },
      labels: ['run:dev', { name: 'bug', color: 'd73a4a', description: 'Something is broken' }],
    },
  ],
  app: { app_id: 42, slug: 'codex-k8s', private_key: privateKey },
}

/** A forge of its own for one test. */
export async function forgeFor(overrides: Partial<SeedInput> = {}) {
  const data = await mkdtemp(join(tmpdir(), 'forge-test-'))
  const forge = await startForge({ data, seed: { ...seed, ...overrides } })
  onTestFinished(async () => {
    await forge.close()
    await rm(data, { recursive: true, force: true })
  })
  const control = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const response = await fetch(`${forge.url}/_forge${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return text === '' ? undefined : JSON.parse(text)
  }
  return {
    ...forge,
    data,
    control,
    as: (login: string) => new Octokit({ baseUrl: forge.url, auth: `token-${login}` }),
    ledger: async (kind: string) => (await control('GET', `/ledger?kind=${kind}`)) as LedgerEntry[],
    async app() {
      const [app] = (await control('GET', '/apps')) as {
        id: number
        privateKey: string
        installations: { id: number }[]
      }[]
      const auth = { appId: app?.id ?? 0, privateKey: app?.privateKey ?? '' }
      const installationId = app?.installations[0]?.id ?? 0
      return {
        installationId,
        asApp: new Octokit({ baseUrl: forge.url, authStrategy: createAppAuth, auth }),
        asBot: new Octokit({ baseUrl: forge.url, authStrategy: createAppAuth, auth: { ...auth, installationId } }),
      }
    },
  }
}

/** A webhook as it arrived. */
export interface Received {
  readonly event: string
  readonly headers: IncomingHttpHeaders
  readonly raw: string
  readonly body: Json
}

/** Somewhere for webhooks to go. */
export async function sink(status: () => number = () => 200) {
  const received: Received[] = []
  let wake = Promise.withResolvers<void>()
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const raw = Buffer.concat(chunks).toString()
      received.push({
        event: String(request.headers['x-github-event']),
        headers: request.headers,
        raw,
        body: JSON.parse(raw) as Json,
      })
      wake.resolve()
      wake = Promise.withResolvers()
      response.writeHead(status()).end('thank you')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    received,
    names: () =>
      received.map(({ event, body }) => (typeof body['action'] === 'string' ? `${event}.${body['action']}` : event)),
    /** The first webhook of this name, when it is there. */
    async next(name: string): Promise<Received> {
      for (;;) {
        const found = received.find(
          ({ event, body }) => name === event || name === `${event}.${String(body['action'])}`,
        )
        if (found) return found
        await wake.promise
      }
    },
  }
}

/** Wait until no webhook is under way. */
export const idle = (forge: { control(method: string, path: string): Promise<unknown> }) =>
  until(async () => ((await forge.control('GET', '/idle')) as { pending: number }).pending === 0)

/** Wait until a condition holds, asking again and again. */
export async function until<T>(ask: () => Promise<T | undefined | false>): Promise<T> {
  for (;;) {
    const answer = await ask()
    if (answer) return answer
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** The status and body of a call that has to fail. */
export async function refused(call: Promise<unknown>): Promise<{ status: number; message: string; errors: unknown }> {
  const error = (await call.then(
    () => {
      throw new Error('the call was not refused')
    },
    (reason: unknown) => reason,
  )) as { status: number; message: string; response?: { data: Json } }
  if (!error.response) throw error
  return {
    status: error.status,
    message: String(error.response.data['message']),
    errors: error.response.data['errors'],
  }
}
