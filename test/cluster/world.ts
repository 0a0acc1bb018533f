import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type Db } from '#shared/db/connect.ts'
import { migrate } from '#shared/db/migrate.ts'
import { startForge } from '../../deploy/local/forge/server.ts'
import { createLogins, withLogin } from '../../deploy/local/logins.ts'
import { startPostgres } from '../../deploy/local/postgres.ts'
import { freePort, hostAddress } from './host.ts'

const REPOSITORY = 'alice/calc'
const tokens = { alice: 'token-alice', bot: 'token-bot' }

/** What the platform needs around it, on this machine: a migrated PostgreSQL and a forge with one connected repository. */
export interface World {
  readonly folder: string
  readonly db: Db
  /** As pods reach them. */
  readonly databaseUrl: string
  /** For audit-sink alone. */
  readonly auditDatabaseUrl: string
  readonly forgeUrl: string
  readonly forgeToken: string
  readonly hook: { readonly id: string; readonly secretName: string; readonly secret: string }
  /** A request to the forge by the repository's owner. */
  alice(method: string, path: string, body?: unknown): Promise<unknown>
  /** Lets the forge deliver to the URL from now on. */
  connectHook(url: string): Promise<void>
  stop(): Promise<void>
}

/** Starts database and forge where pods reach them, and connects the repository. */
export async function startWorld(): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'codex-k8s-cluster-'))
  // As root the database server runs under another account, which has to get there.
  chmodSync(folder, 0o755)
  const host = await hostAddress()
  const access = join(folder, 'pg_hba.conf')
  writeFileSync(access, 'host all all all scram-sha-256\n')
  const postgres = await startPostgres({
    dataDir: join(folder, 'database'),
    durable: false,
    settings: { listen_addresses: `127.0.0.1,${host}`, hba_file: access, max_connections: '200' },
  })
  await migrate(postgres.url)
  const logins = await createLogins(postgres.url)
  const db = connect(postgres.url, { name: 'cluster-test' })

  const port = await freePort(host)
  const forge = await startForge({
    data: join(folder, 'forge'),
    host,
    port,
    publicUrl: `http://${host}:${port}`,
    seed: {
      users: [
        { login: 'alice', token: tokens.alice },
        { login: 'codex-bot', token: tokens.bot },
      ],
      repos: [
        {
          owner: 'alice',
          name: 'calc',
          files: { 'add.js': 'a - b\n' },
          collaborators: { 'codex-bot': 'write' },
          labels: ['run:dev'],
        },
      ],
    },
  })
  const request = async (token: string, method: string, path: string, body?: unknown): Promise<unknown> => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    const response = await fetch(`${forge.url}${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`)
    return response.json()
  }
  const alice = (method: string, path: string, body?: unknown) => request(tokens.alice, method, path, body)

  const repository = (await alice('GET', `/repos/${REPOSITORY}`)) as { id: number }
  const bot = (await request(tokens.bot, 'GET', '/user')) as { id: number }
  const project = await db
    .insertInto('projects')
    .values({
      provider: 'github',
      instance: forge.url,
      repository_id: String(repository.id),
      full_name: REPOSITORY,
      own_actor_id: String(bot.id),
      settings: '{}',
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  const hook = { id: 'clustertest', secretName: 'calc', secret: randomBytes(24).toString('hex') }
  await db
    .insertInto('hooks')
    .values({
      id: hook.id,
      provider: 'github',
      instance: forge.url,
      project_id: project.id,
      secret_name: hook.secretName,
    })
    .execute()

  return {
    folder,
    db,
    databaseUrl: withLogin(postgres.url, logins.functions).replace('@127.0.0.1:', `@${host}:`),
    auditDatabaseUrl: withLogin(postgres.url, logins.audit).replace('@127.0.0.1:', `@${host}:`),
    forgeUrl: forge.url,
    forgeToken: tokens.bot,
    hook,
    alice,
    async connectHook(url) {
      const config = { url, content_type: 'json', secret: hook.secret }
      await alice('POST', `/repos/${REPOSITORY}/hooks`, { name: 'web', active: true, events: ['issues'], config })
    },
    async stop() {
      await Promise.allSettled([db.destroy(), forge.close()])
      await postgres.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
