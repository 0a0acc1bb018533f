import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from '../../../deploy/local/free-port.ts'
import { connectRepository, type Connected } from '../../../deploy/local/connect-repository.ts'
import type { Fault, FaultEffect } from '../../../deploy/local/forge/faults.ts'
import type { Db } from '#shared/db/connect.ts'
import { startChild, type Child } from './child.ts'

/** Who acts on the forge: maria owns its repositories and asks for work, walt may write, theo may only triage. */
export type Person = 'maria' | 'theo' | 'walt'

/** A repository with its hook. */
export interface Repository extends Connected {
  readonly id: string
  readonly fullName: string
}

/** One line of the forge's own ledger. */
export interface ForgeEntry {
  readonly seq: number
  readonly kind: string
  readonly repo?: string
  readonly number?: number
  readonly id?: number
  readonly label?: string
  readonly login?: string
  readonly firstLine?: string
  readonly [detail: string]: unknown
}

/** The forge as a process: its ledger is its own, and nobody kills it. */
export interface HarnessForge {
  readonly url: string
  readonly authDir: string
  readonly repositories: readonly Repository[]
  person(who: Person, method: string, path: string, body?: unknown): Promise<unknown>
  ledger(kind?: string): Promise<readonly ForgeEntry[]>
  /** Deliveries that it has begun and not finished. */
  pending(): Promise<number>
  fault(effect: FaultEffect, which: Omit<Fault, 'then'>): Promise<void>
  noFaults(): Promise<void>
  close(): Promise<void>
}

/** Times faster than a clock that the time of the forge's limits passes: an hour in two minutes. */
export const SPEED = 30

const token = (who: Person) => `${who}-token`

/** Starts a forge with so many repositories of maria's, each connected to the database; its hooks deliver to `hookUrl`. */
export async function startHarnessForge(
  folder: string,
  db: Db,
  count: number,
  hookUrl: (repository: Repository) => string,
): Promise<HarnessForge> {
  const names = Array.from({ length: count }, (_, index) => `shop-${index + 1}`)
  const seed = {
    users: [
      { login: 'maria', id: 1001, token: token('maria') },
      { login: 'theo', id: 1002, token: token('theo') },
      { login: 'walt', id: 1003, token: token('walt') },
    ],
    repos: names.map((name) => ({
      owner: 'maria',
      name,
      files: { 'README.md': `# ${name}\n` },
      collaborators: { theo: 'triage', walt: 'write' },
      labels: ['run:dev', 'run:dev:revise', 'approve:dev', 'bug'],
    })),
    app: { app_id: 7, slug: 'codex-k8s' },
    rate_limit: 100_000_000,
    secondary_limits_speed: SPEED,
  }
  const data = join(folder, 'forge')
  mkdirSync(data)
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const child: Child = await startChild({
    script: fileURLToPath(new URL('../../../deploy/local/forge/main.ts', import.meta.url)),
    env: { PORT: String(port), FORGE_DATA: data, FORGE_SEED: JSON.stringify(seed) },
    ready: /"ready":true/,
  })
  const ask = async (method: string, path: string, body?: unknown, authorization?: string): Promise<unknown> => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { 'content-type': 'application/json', ...(authorization === undefined ? {} : { authorization }) },
      body: body === undefined ? null : JSON.stringify(body),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return text === '' ? {} : JSON.parse(text)
  }
  const person: HarnessForge['person'] = (who, method, path, body) => ask(method, path, body, `Bearer ${token(who)}`)

  const [app] = (await ask('GET', '/_forge/apps')) as {
    id: number
    privateKey: string
    bot: { id: number }
    installations: { id: number }[]
  }[]
  if (app === undefined) throw new Error('the forge has no App')
  const authDir = join(folder, 'auth')
  mkdirSync(authDir)
  writeFileSync(join(authDir, 'app-id'), String(app.id))
  writeFileSync(join(authDir, 'private-key.pem'), app.privateKey)

  const repositories: Repository[] = []
  for (const name of names) {
    const fullName = `maria/${name}`
    const { id } = (await person('maria', 'GET', `/repos/${fullName}`)) as { id: number }
    const connected = await connectRepository(db, join(folder, 'secrets'), {
      instance: url,
      repositoryId: String(id),
      fullName,
      installationId: String(app.installations[0]?.id),
      ownActorId: String(app.bot.id),
    })
    repositories.push({ ...connected, id: String(id), fullName })
  }
  await db.updateTable('projects').set({ max_active: 4 }).execute()
  for (const repository of repositories)
    await person('maria', 'POST', `/repos/${repository.fullName}/hooks`, {
      name: 'web',
      active: true,
      events: ['*'],
      config: { url: hookUrl(repository), content_type: 'json', secret: repository.secret },
    })

  return {
    url,
    authDir,
    repositories,
    person,
    ledger: async (kind) =>
      (await ask('GET', `/_forge/ledger${kind === undefined ? '' : `?kind=${kind}`}`)) as ForgeEntry[],
    pending: async () => ((await ask('GET', '/_forge/idle')) as { pending: number }).pending,
    fault: async (effect, which) =>
      // oxlint-disable-next-line unicorn/no-thenable -- the forge's word; nothing awaits it
      void (await ask('POST', '/_forge/faults', { ...which, then: effect })),
    noFaults: async () => void (await ask('DELETE', '/_forge/faults')),
    close: () => child.close(),
  }
}
