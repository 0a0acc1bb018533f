import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { SeedInput } from '../../deploy/local/forge/seed.ts'
import { startForge } from '../../deploy/local/forge/server.ts'

/** One line of the forge's own ledger: what really happened there. */
export interface ForgeEntry {
  readonly kind: string
  readonly [detail: string]: unknown
}

/** The forge of a world: maria owns `maria/shop`, theo may triage, eve read. */
export interface WorldForge {
  readonly url: string
  /** Where our App's credentials are. */
  readonly authDir: string
  /** Ids of our App's account and of its installation. */
  readonly app: { readonly bot: string; readonly installation: string }
  /** A REST call as a person, by default with write access. Throws on anything but 2xx. */
  person<T = Record<string, unknown>>(method: string, path: string, body?: unknown, token?: string): Promise<T>
  ledger(kind?: string): Promise<ForgeEntry[]>
  /** Deliveries that it has begun and not finished. */
  pending(): Promise<number>
  close(): Promise<void>
}

/** Starts it, with its data and our credentials below the folder. */
export async function startWorldForge(folder: string, seed: Partial<SeedInput> = {}): Promise<WorldForge> {
  const { url, close } = await startForge({
    data: join(folder, 'forge'),
    seed: {
      users: [
        { login: 'maria', id: 1001, token: 'maria-token' },
        { login: 'theo', id: 1002, token: 'theo-token' },
        { login: 'eve', id: 1003, token: 'eve-token' },
      ],
      repos: [
        {
          owner: 'maria',
          name: 'shop',
          files: { 'README.md': '# shop\n', 'src/a.js': '1\n' },
          collaborators: { theo: 'triage' },
          labels: ['run:dev', 'bug'],
        },
      ],
      app: { app_id: 7, slug: 'codex-k8s' },
      ...seed,
    },
  })
  const [app] = (await (await fetch(`${url}/_forge/apps`)).json()) as {
    id: number
    privateKey: string
    bot: { id: number }
    installations: { id: number }[]
  }[]
  const authDir = join(folder, 'auth')
  mkdirSync(authDir)
  writeFileSync(join(authDir, 'app-id'), String(app?.id))
  writeFileSync(join(authDir, 'private-key.pem'), app?.privateKey ?? '')

  const person: WorldForge['person'] = async (method, path, body, token = 'maria-token') => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: body === undefined ? null : JSON.stringify(body),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return text === '' ? {} : JSON.parse(text)
  }
  return {
    url,
    authDir,
    app: { bot: String(app?.bot.id), installation: String(app?.installations[0]?.id) },
    person,
    ledger: async (kind) =>
      (await (await fetch(`${url}/_forge/ledger${kind === undefined ? '' : `?kind=${kind}`}`)).json()) as ForgeEntry[],
    pending: async () => ((await (await fetch(`${url}/_forge/idle`)).json()) as { pending: number }).pending,
    close,
  }
}
