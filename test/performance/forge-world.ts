import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { connect, type Db } from '#shared/db/connect.ts'
import { connectRepository, type Connected } from '../../deploy/local/connect-repository.ts'
import { expectStatus } from './ask.ts'
import { startChild } from './child.ts'
import type { Ground } from './ground.ts'
import type { Elsewhere } from './servers.ts'
import type { WayThrough } from './walk.ts'

/** A forge with one connected repository, and the database that knows of it. */
export interface ForgeWorld {
  readonly db: Db
  readonly databaseUrl: string
  readonly forgeUrl: string
  /** Where the App's credentials are. */
  readonly authDir: string
  readonly secretsDir: string
  readonly connected: Connected
  /** Calls the forge as the repository's owner. */
  person<T>(method: 'GET' | 'POST', path: string, body?: unknown): Promise<T>
  /** Sends the repository's deliveries there. */
  hook(url: string): Promise<void>
  /** Number of a new issue. */
  issue(): Promise<number>
  label(issue: number): Promise<void>
  close(): Promise<void>
}

/** The repository of the benchmark. */
export const REPOSITORY = 'maria/shop'

/** Key of the agents' tokens. */
export const TOKEN_KEY = 'a key of the benchmark, long enough for anything'

/** Starts a forge as a process of its own and connects its repository in the database. */
export async function startForgeWorld({ folder: parent }: Ground, databaseUrl: string): Promise<ForgeWorld> {
  const folder = mkdtempSync(join(parent, 'world-'))
  const [owner = '', name = ''] = REPOSITORY.split('/')
  const seed = {
    users: [{ login: owner, id: 1001, token: 'maria-token' }],
    repos: [{ owner, name, files: { 'README.md': '# shop\n', 'src/a.js': '1\n' }, labels: ['run:dev'] }],
    app: { app_id: 7, slug: 'codex-k8s' },
    rate_limit: 1_000_000,
  }
  const script = fileURLToPath(new URL('../../deploy/local/forge/main.ts', import.meta.url))
  const env = { PORT: '0', FORGE_DATA: join(folder, 'forge'), FORGE_SEED: JSON.stringify(seed) }
  const forge = await startChild(script, { env, until: /"url":"([^"]+)"/ })
  const forgeUrl = forge.ready?.[1] ?? ''

  const person = async <T>(method: 'GET' | 'POST', path: string, body?: unknown): Promise<T> => {
    const response = await fetch(`${forgeUrl}${path}`, {
      method,
      headers: { authorization: 'Bearer maria-token', 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return (text === '' ? {} : JSON.parse(text)) as T
  }
  const apps = JSON.parse(await expectStatus(forgeUrl, 200, { method: 'GET', path: '/_forge/apps' })) as {
    id: number
    privateKey: string
    bot: { id: number }
    installations: { id: number }[]
  }[]
  const app = apps[0]
  if (app === undefined) throw new Error('the forge has no App')
  const authDir = join(folder, 'auth')
  mkdirSync(authDir)
  writeFileSync(join(authDir, 'app-id'), String(app.id))
  writeFileSync(join(authDir, 'private-key.pem'), app.privateKey)

  const db = connect(databaseUrl, { name: 'bench' })
  const secretsDir = join(folder, 'secrets')
  const repository = await person<{ id: number }>('GET', `/repos/${REPOSITORY}`)
  const connected = await connectRepository(db, secretsDir, {
    instance: forgeUrl,
    repositoryId: String(repository.id),
    fullName: REPOSITORY,
    installationId: String(app.installations[0]?.id),
    ownActorId: String(app.bot.id),
  })
  await db.updateTable('projects').set({ max_active: 1000 }).where('id', '=', connected.projectId).execute()
  let issues = 0
  return {
    db,
    databaseUrl,
    forgeUrl,
    authDir,
    secretsDir,
    connected,
    person,
    async hook(url) {
      const config = { url, content_type: 'json', secret: connected.secret }
      await person('POST', `/repos/${REPOSITORY}/hooks`, { name: 'web', active: true, events: ['issues'], config })
    },
    async issue() {
      issues += 1
      const body = 'The total is wrong when an invoice has no lines.\n'.repeat(20)
      const title = `The total is wrong (${issues})`
      return (await person<{ number: number }>('POST', `/repos/${REPOSITORY}/issues`, { title, body })).number
    },
    async label(issue) {
      await person('POST', `/repos/${REPOSITORY}/issues/${issue}/labels`, { labels: ['run:dev'] })
    },
    async close() {
      await db.destroy()
      await forge.stop()
    },
  }
}

/** The way of this world's issues. */
export function wayThrough(world: ForgeWorld, { caught }: Elsewhere): WayThrough {
  return { ...world, repository: REPOSITORY, hookPath: world.connected.hookPath, tokenKey: TOKEN_KEY, caught }
}
