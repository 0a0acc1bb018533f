import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'
import pg from 'pg'
import { crashPoint } from '#shared/crash-point.ts'

/** A user of the database. An empty password: the server knows this user some other way, and its password is left alone. */
export interface Login {
  readonly user: string
  readonly password: string
}

/** Who connects: audit-sink, and every other function. */
export interface Logins {
  readonly functions: Login
  readonly audit: Login
}

/** The role of each login; the migrations say what it may do. */
export const roles = { functions: 'codex_k8s_functions', audit: 'codex_k8s_audit' } as const

/**
 * Makes both logins on a migrated database, or gives those that are there these passwords. Each is in its own role and
 * not in the other's. Throws when a login could do more than its role: the owner, or who may make roles or databases.
 */
export async function ensureLogins(ownerUrl: string, logins: Logins): Promise<void> {
  if (logins.functions.user === logins.audit.user)
    throw new Error(`${logins.audit.user} is the login of all: audit-sink needs one of its own`)
  const client = new pg.Client({
    connectionString: ownerUrl,
    application_name: 'logins',
    connectionTimeoutMillis: 10_000,
  })
  await client.connect()
  try {
    for (const name of ['functions', 'audit'] as const) {
      await client.query('begin')
      // Two that change the same role at once would fail, one of them.
      await client.query('select pg_advisory_xact_lock(7236421)')
      await ensureLogin(client, logins[name], roles[name])
      crashPoint('logins.before-commit', name)
      await client.query('commit')
    }
  } finally {
    await client.end()
  }
}

async function ensureLogin(client: pg.Client, { user, password }: Login, role: string): Promise<void> {
  const login = client.escapeIdentifier(user)
  const { rows } = await client.query<{ does_more: boolean }>(
    `select rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls or rolname = current_user as does_more
     from pg_roles where rolname = $1`,
    [user],
  )
  if (rows[0]?.does_more === true)
    throw new Error(`${user} may do more than a function should: name a login that is not used for anything else`)
  if (rows.length === 0) await client.query(`create role ${login}`)
  await client.query(`alter role ${login} login`)
  if (password !== '') await client.query(`alter role ${login} password '${verifierOf(password)}'`)
  const memberships = await client.query<{ role: string }>(
    `select pg_get_userbyid(roleid) as role from pg_auth_members where member = (select oid from pg_roles where rolname = $1)`,
    [user],
  )
  const held = memberships.rows.map((row) => row.role)
  if (!held.includes(role)) await client.query(`grant ${role} to ${login}`)
  for (const other of Object.values(roles))
    if (other !== role && held.includes(other)) await client.query(`revoke ${other} from ${login}`)
}

/** What the server keeps of a password (SCRAM, RFC 5803). Made here, so that no statement, and no log of statements, has the password. */
function verifierOf(password: string): string {
  const salt = randomBytes(16)
  const iterations = 4096
  const salted = pbkdf2Sync(password.normalize('NFKC'), salt, iterations, 32, 'sha256')
  const hmac = (text: string) => createHmac('sha256', salted).update(text).digest()
  const storedKey = createHash('sha256').update(hmac('Client Key')).digest('base64')
  const serverKey = hmac('Server Key').toString('base64')
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${serverKey}`
}
