import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { startForge } from '../../../deploy/local/forge/server.ts'

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

/** A forge that runs, and what it has sent to its one webhook. */
export interface Started {
  readonly url: string
  readonly privateKey: string
  readonly hooks: IssuesBody[]
  /** The simulator's own door: faults, its ledger. */
  control(method: string, path: string, body?: unknown): Promise<unknown>
  /** A REST call as a person. Throws on anything but 2xx. */
  person<T = Record<string, unknown>>(method: string, path: string, body?: unknown, login?: string): Promise<T>
  close(): Promise<void>
}

/** Starts the simulator with its people, its repository and a webhook that is listened to. */
export async function startForFile(folder: string): Promise<Started> {
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
  const forge = await startForge({
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
  const hooks: IssuesBody[] = []
  const hookSink = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      hooks.push(JSON.parse(Buffer.concat(chunks).toString('utf8')) as IssuesBody)
      response.end()
    })
  }).listen(0, '127.0.0.1')
  await once(hookSink, 'listening')
  await person('POST', '/repos/maria/shop/hooks', {
    name: 'web',
    active: true,
    events: ['issues', 'pull_request', 'pull_request_review'],
    config: { url: `http://127.0.0.1:${(hookSink.address() as AddressInfo).port}/`, content_type: 'json' },
  })
  return {
    url: forge.url,
    privateKey,
    hooks,
    control,
    person,
    async close() {
      await forge.close()
      hookSink.closeAllConnections()
      hookSink.close()
    },
  }

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
}
