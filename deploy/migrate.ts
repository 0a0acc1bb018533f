import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import * as v from 'valibot'
import { ensureLogins, roles, type Login } from '#shared/db/logins.ts'
import { migrate } from '#shared/db/migrate.ts'
import { isOutage } from '#shared/db/outage.ts'
import { readEnv } from '#shared/env.ts'

// The unit `migrate`: a Job that runs before a new version takes traffic, and again whenever somebody likes. It brings the
// schema to this version, makes the two logins of the functions, and tries them.
//
//   DATABASE_OWNER_URL   who owns the schema: may create tables and roles; the server itself, not a pooler of transactions
//   DATABASE_URL         the functions' login
//   AUDIT_DATABASE_URL   audit-sink's login
//
// Ends with 0 when all is as it should be, 78 when a variable is missing, 1 with one line that says what is wrong. A
// database that is newer stays as it is: one version back works on it, so a release can be taken back.

/** How long a server that is not there is waited for, milliseconds: one for a trial starts beside us. */
const PATIENCE = 60_000

const DatabaseUrl = v.pipe(v.string(), v.startsWith('postgres'), v.url())
const env = readEnv(
  v.object({ DATABASE_OWNER_URL: DatabaseUrl, DATABASE_URL: DatabaseUrl, AUDIT_DATABASE_URL: DatabaseUrl }),
)

try {
  const applied = await patiently(() => migrate(env.DATABASE_OWNER_URL, { onNewer: sayNewer }))
  for (const name of applied) console.log(`${name}: applied`)
  if (applied.length === 0) console.log('nothing to apply')
  await ensureLogins(env.DATABASE_OWNER_URL, {
    functions: loginOf('DATABASE_URL'),
    audit: loginOf('AUDIT_DATABASE_URL'),
  })
  await tryLogin('DATABASE_URL', roles.functions)
  await tryLogin('AUDIT_DATABASE_URL', roles.audit)
} catch (error) {
  console.error((error as Error).message || String(error))
  process.exitCode = 1
}

function sayNewer(names: readonly string[]): void {
  console.log(`the database is newer than this version, by ${names.join(', ')}: its schema stays as it is`)
}

function loginOf(variable: 'DATABASE_URL' | 'AUDIT_DATABASE_URL'): Login {
  const { username, password } = new URL(env[variable])
  if (username === '') throw new Error(`${variable} names no login`)
  return { user: decodeURIComponent(username), password: decodeURIComponent(password) }
}

/** A login that was just made and does not work is found here, and not by the first event. */
async function tryLogin(variable: 'DATABASE_URL' | 'AUDIT_DATABASE_URL', role: string): Promise<void> {
  const client = new pg.Client({ connectionString: env[variable], connectionTimeoutMillis: 10_000 })
  try {
    await client.connect()
    const { rows } = await client.query<{ right: boolean }>(
      `select pg_has_role($1::name, 'member') and to_regclass('public.migrations') is not null as right`,
      [role],
    )
    if (rows[0]?.right !== true) throw new Error('it leads to another database than DATABASE_OWNER_URL')
  } catch (error) {
    throw new Error(`${variable} does not work: ${(error as Error).message}`, { cause: error })
  } finally {
    await client.end()
  }
  console.log(`${variable}: logs in, in the role ${role}`)
}

async function patiently<T>(work: () => Promise<T>): Promise<T> {
  for (const end = performance.now() + PATIENCE; ;) {
    try {
      return await work()
    } catch (error) {
      if (!isOutage(error) || performance.now() > end) throw error
      console.log(`the database is not there yet: ${(error as Error).message}`)
      await sleep(2_000)
    }
  }
}
