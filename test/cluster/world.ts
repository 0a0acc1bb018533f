import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startForge } from '../../deploy/local/forge/server.ts'
import { createLogins, withLogin } from '../../deploy/local/logins.ts'
import { connect } from '#shared/db/connect.ts'
import { writeAs } from '#shared/outbox/deliver.ts'
import { connectProject, hookPath } from '#shared/project/connect.ts'
import { migrate } from '#shared/db/migrate.ts'
import { startDatabase } from './database.ts'
import { freePort, hostAddress } from './host.ts'

/** One repository per test file, so that what a file counts at the forge is its own; two for the benchmark. */
export const REPOSITORIES = [
  'bench',
  'bench-walk',
  'chain',
  'ends',
  'fabricated',
  'kills',
  'poison',
  'rollout',
] as const
/** A repository of alice's. */
export type RepositoryName = (typeof REPOSITORIES)[number]

/** Tokens of the two accounts at the forge: alice asks, the bot is the platform. */
export const TOKENS = { alice: 'token-alice', bot: 'token-bot' } as const

/** Name of the secret that all hooks share. */
const HOOK_SECRET = 'test'

/** A repository that is connected; its hook has to be told where the door is. */
export interface Repository {
  readonly fullName: string
  readonly projectId: string
  readonly hookId: string
  readonly hookPath: string
  readonly secret: string
}

/** What the platform needs around it, on this machine: a migrated PostgreSQL and a forge with connected repositories. */
export interface World {
  readonly folder: string
  /** Of the owner, for the tests. */
  readonly ownerUrl: string
  /** As pods reach them. */
  readonly databaseUrl: string
  /** For audit-sink alone. */
  readonly auditDatabaseUrl: string
  /** File whose first line is the process id of the database server. */
  readonly databasePid: string
  readonly forgeUrl: string
  readonly repositories: Readonly<Record<RepositoryName, Repository>>
  /** Hook secrets by name. */
  readonly hookSecrets: Readonly<Record<string, string>>
  readonly runTokenKey: string
  stop(): Promise<void>
}

/** Starts database and forge where pods reach them, and connects the repositories. */
export async function startWorld(): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'codex-k8s-cluster-'))
  // As root the database server runs under another account, which has to get there.
  chmodSync(folder, 0o755)
  const host = await hostAddress()
  const database = await startDatabase(folder, host)
  await migrate(database.url)
  const logins = await createLogins(database.url)

  const port = await freePort(host)
  const forge = await startForge({
    data: join(folder, 'forge'),
    host,
    port,
    publicUrl: `http://${host}:${port}`,
    seed: {
      users: [
        { login: 'alice', token: TOKENS.alice },
        { login: 'codex-bot', token: TOKENS.bot },
      ],
      repos: REPOSITORIES.map((name) => ({
        owner: 'alice',
        name,
        files: { 'add.js': 'a - b\n' },
        // It reads and repeats the hook's deliveries.
        collaborators: { 'codex-bot': 'admin' },
        labels: ['run:dev', 'bug'],
      })),
      rate_limit: 1_000_000,
    },
  })
  const hookSecret = randomBytes(32).toString('hex')
  const repositories = await connectAll(database.url, forge.url, hookSecret)
  const reachable = (url: string) => url.replace('@127.0.0.1:', `@${host}:`)

  return {
    folder,
    ownerUrl: database.url,
    databaseUrl: reachable(withLogin(database.url, logins.functions)),
    auditDatabaseUrl: reachable(withLogin(database.url, logins.audit)),
    databasePid: database.pidFile,
    forgeUrl: forge.url,
    repositories,
    hookSecrets: { [HOOK_SECRET]: hookSecret },
    runTokenKey: randomBytes(32).toString('hex'),
    async stop() {
      await forge.close()
      await database.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Connects all repositories in the database. */
export async function connectAll(
  databaseUrl: string,
  forgeUrl: string,
  secret: string,
): Promise<World['repositories']> {
  const ask = async (token: string, path: string) => {
    const response = await fetch(`${forgeUrl}${path}`, { headers: { authorization: `Bearer ${token}` } })
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
    return (await response.json()) as { id: number }
  }
  const db = connect(databaseUrl, { name: 'cluster-test' })
  try {
    const bot = await ask(TOKENS.bot, '/user')
    const connected: [RepositoryName, Repository][] = []
    for (const name of REPOSITORIES) {
      const fullName = `alice/${name}`
      const { id } = await ask(TOKENS.alice, `/repos/${fullName}`)
      const project = {
        instance: forgeUrl,
        repositoryId: String(id),
        fullName,
        installationId: null,
        ownActorId: String(bot.id),
        maxActive: 50,
      }
      const { result } = await writeAs(db, 'cluster-test', (writer) => connectProject(writer, project, [HOOK_SECRET]))
      const { projectId, hookId } = result
      connected.push([name, { fullName, projectId, hookId, hookPath: hookPath(hookId), secret }])
    }
    return Object.fromEntries(connected) as Record<RepositoryName, Repository>
  } finally {
    await db.destroy()
  }
}
