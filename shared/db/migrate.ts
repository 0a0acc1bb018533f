import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { crashPoint } from '#shared/crash-point.ts'
import { readMigrations, type Migration } from '#shared/db/migrations.ts'

/** How often a migration asks for a table that others use, 2 s each time and a second in between. */
const LOCK_TRIES = 20

/** What a migrator may be told besides. */
export interface MigrateOptions {
  /** Gets the migrations that only a newer version has; nothing is applied then. Without it such a database is an error. */
  readonly onNewer?: (names: readonly string[]) => void
}

/**
 * Brings the schema to the newest version: numbered, forward only, each file in its own transaction, one migrator at a
 * time. A file that was changed after it had been applied stops everything: history is not edited. Needs the server
 * itself or a pooler of sessions, because it holds a lock between transactions. Returns the names of what was applied.
 */
export async function migrate(connectionString: string, { onNewer }: MigrateOptions = {}): Promise<readonly string[]> {
  const client = new pg.Client({
    connectionString,
    application_name: 'migrate',
    connectionTimeoutMillis: 10_000,
  })
  await client.connect()
  try {
    await client.query('select pg_advisory_lock(7236419)')
    await client.query(
      'create table if not exists migrations (name text primary key, digest text not null, applied_at timestamptz not null default now())',
    )
    const rows = await client.query<{ name: string; digest: string }>('select name, digest from migrations')
    const applied = new Map(rows.rows.map((row) => [row.name, row.digest]))
    const migrations = await readMigrations()
    const unknown = [...applied.keys()].filter((name) => !migrations.some((each) => each.name === name))
    if (unknown.length > 0) {
      if (onNewer !== undefined) {
        onNewer(unknown)
        return []
      }
      throw new Error(
        `the database is newer than this version: it has ${unknown.join(', ')}; use the newer version or another database`,
      )
    }
    const fresh: string[] = []
    for (const { name, text } of migrations) {
      const digest = createHash('sha256').update(text).digest('hex')
      const before = applied.get(name)
      if (before === digest) continue
      if (before !== undefined)
        throw new Error(
          `migration ${name} was changed after it was applied: another build made this database; use another one`,
        )
      await apply(client, { name, text }, digest)
      fresh.push(name)
    }
    return fresh
  } finally {
    await client.end()
  }
}

async function apply(client: pg.Client, { name, text }: Migration, digest: string): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      // Whoever queues behind us for a table is held up for 2 s at most.
      await client.query("begin; set local lock_timeout = '2s'")
      await client.query(text)
      await client.query('insert into migrations (name, digest) values ($1, $2)', [name, digest])
      crashPoint('migrate.before-commit', name)
      await client.query('commit')
      crashPoint('migrate.after-commit', name)
      return
    } catch (error) {
      await client.query('rollback')
      const isBusy = (error as { code?: string }).code === '55P03'
      if (!isBusy || tries === LOCK_TRIES)
        throw new Error(`migration ${name} failed: ${(error as Error).message}`, { cause: error })
      await sleep(1_000)
    }
  }
}
