import { readdir, readFile } from 'node:fs/promises'
import { createHash } from 'node:crypto'
import pg from 'pg'

const directory = new URL('./migrations/', import.meta.url)

/**
 * Brings the schema to the newest version: numbered, forward only, each file in its own transaction, one migrator at a
 * time. A file that was changed after it had been applied stops everything: history is not edited.
 */
export async function migrate(connectionString: string): Promise<readonly string[]> {
  const client = new pg.Client({ connectionString, application_name: 'migrate' })
  await client.connect()
  try {
    await client.query('select pg_advisory_lock(7236419)')
    await client.query(
      'create table if not exists migrations (name text primary key, digest text not null, applied_at timestamptz not null default now())',
    )
    const rows = await client.query<{ name: string; digest: string }>('select name, digest from migrations')
    const applied = new Map(rows.rows.map((row) => [row.name, row.digest]))
    const names = (await readdir(directory)).filter((name) => name.endsWith('.sql')).toSorted()
    const unknown = [...applied.keys()].filter((name) => !names.includes(name))
    if (unknown.length > 0) {
      throw new Error(
        `the database is newer than this version: it has ${unknown.join(', ')}; use the newer version or another database`,
      )
    }
    const fresh: string[] = []
    for (const name of names) {
      const text = await readFile(new URL(name, directory), 'utf8')
      const digest = createHash('sha256').update(text).digest('hex')
      const before = applied.get(name)
      if (before === digest) continue
      if (before !== undefined)
        throw new Error(
          `migration ${name} was changed after it was applied: another build made this database; use another one`,
        )
      await apply(client, name, text, digest)
      fresh.push(name)
    }
    return fresh
  } finally {
    await client.end()
  }
}

async function apply(client: pg.Client, name: string, text: string, digest: string): Promise<void> {
  try {
    await client.query("begin; set local lock_timeout = '2s'")
    await client.query(text)
    await client.query('insert into migrations (name, digest) values ($1, $2)', [name, digest])
    await client.query('commit')
  } catch (error) {
    await client.query('rollback')
    throw new Error(`migration ${name} failed: ${(error as Error).message}`, { cause: error })
  }
}
