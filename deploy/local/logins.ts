import { randomBytes } from 'node:crypto'
import pg from 'pg'

/** A user of the database with its password. */
export interface Login {
  readonly user: string
  readonly password: string
}

/** Who connects: audit-sink, and every other function. */
export interface Logins {
  readonly functions: Login
  readonly audit: Login
}

/** Makes both logins on a migrated database, or gives them new passwords. Each is in its own role and no other. */
export async function createLogins(ownerUrl: string): Promise<Logins> {
  const logins = {
    functions: { user: 'codex_k8s_local_functions', password: randomBytes(24).toString('hex') },
    audit: { user: 'codex_k8s_local_audit', password: randomBytes(24).toString('hex') },
  }
  const client = new pg.Client({ connectionString: ownerUrl, application_name: 'logins' })
  await client.connect()
  try {
    for (const [name, { user, password }] of Object.entries(logins)) {
      const { rowCount } = await client.query('select from pg_roles where rolname = $1', [user])
      if (rowCount === 0) await client.query(`create role ${user} login in role codex_k8s_${name}`)
      await client.query(`alter role ${user} password '${password}'`)
    }
  } finally {
    await client.end()
  }
  return logins
}

/** The same database, as somebody else. */
export function withLogin(url: string, { user, password }: Login): string {
  const other = new URL(url)
  other.username = user
  other.password = password
  return other.href
}
