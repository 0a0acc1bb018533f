import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { describe, expect, inject } from 'vitest'
import { readMigrations } from '#shared/db/migrations.ts'
import { withLogin } from '../../deploy/local/logins.ts'
import { administer, databaseUrl as urlOf } from '../support/administer.ts'
import { test as base } from '../support/database.ts'
import { spawnNode } from '../support/processes.ts'
import { startProxy } from '../support/proxy.ts'
import { eventually } from '../support/wait.ts'

const path = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url))
const names = (await readMigrations()).map(({ name }) => name)
const last = names.at(-1) ?? ''

interface Place {
  /** What the unit is told. */
  readonly env: Readonly<Record<'DATABASE_OWNER_URL' | 'DATABASE_URL' | 'AUDIT_DATABASE_URL', string>>
  readonly users: { readonly functions: string; readonly audit: string }
}

/** A database with nothing in it, and two logins that are not there yet. */
const test = base.extend<{ place: Place }>({
  // oxlint-disable-next-line no-empty-pattern -- vitest reads the destructured names
  place: async ({}, use) => {
    const { url } = inject('postgres')
    const id = randomBytes(6).toString('hex')
    const owner = urlOf(url, `migrate_${id}`)
    const users = { functions: `functions_${id}`, audit: `audit "${id}"` }
    await administer(url, `create database migrate_${id}`)
    const env = {
      DATABASE_OWNER_URL: owner,
      DATABASE_URL: withLogin(owner, { user: users.functions, password: "it's a 'secret' \\ with %41 & more" }),
      AUDIT_DATABASE_URL: withLogin(owner, { user: users.audit, password: randomBytes(24).toString('hex') }),
    }
    await use({ env, users })
    await administer(url, `drop database migrate_${id} with (force)`)
    for (const user of Object.values(users)) await administer(url, `drop role if exists ${pg.escapeIdentifier(user)}`)
  },
})

async function query(url: string, text: string, values: unknown[] = []) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(text, values)).rows as Record<string, unknown>[]
  } finally {
    await client.end()
  }
}

async function migrate(env: Readonly<Record<string, string>>) {
  const child = spawnNode(path('deploy/migrate.ts'), { env })
  return { ...(await child.exited), lines: child.lines }
}

const ready = [
  'DATABASE_URL: logs in, in the role codex_k8s_functions',
  'AUDIT_DATABASE_URL: logs in, in the role codex_k8s_audit',
]
const done = (...lines: string[]) => ({ code: 0, signal: null, lines: [...lines, ...ready] })

describe('the migrations unit', () => {
  test('brings an empty database up to date and makes both logins; the second time there is nothing to do', async ({
    place: { env },
  }) => {
    expect(await migrate(env)).toEqual(done(...names.map((name) => `${name}: applied`)))
    expect(await migrate(env)).toEqual(done('nothing to apply'))
    await expect(query(env.DATABASE_URL, 'insert into ledger default values')).rejects.toThrow('permission denied')
    expect(await query(env.DATABASE_URL, 'select count(*)::int as runs from runs')).toEqual([{ runs: 0 }])
    await expect(query(env.AUDIT_DATABASE_URL, 'select 1 from runs')).rejects.toThrow('permission denied')
    expect(await query(env.AUDIT_DATABASE_URL, `select ledger_append(0, '{}', '{}', '{}') is null as none`)).toEqual([
      { none: false },
    ])
  })

  test('F25 five at once apply each migration once, and all of them succeed', async ({ place: { env } }) => {
    const all = await Promise.all(Array.from({ length: 5 }, () => migrate(env)))
    expect(all.map(({ code }) => code)).toEqual([0, 0, 0, 0, 0])
    const applied = all.flatMap(({ lines }) => lines).filter((line) => line.endsWith(': applied'))
    expect(applied).toEqual(names.map((name) => `${name}: applied`))
  })

  test.for([
    'migrate.before-commit',
    `migrate.before-commit ${last}`,
    'migrate.after-commit',
    `migrate.after-commit ${last}`,
    'logins.before-commit functions',
    'logins.before-commit audit',
  ])('F25 killed at %s, the next one goes on and ends well', async (point, { place: { env } }) => {
    const killed = spawnNode(path('test/support/armed.ts'), {
      args: [path('deploy/migrate.ts')],
      env: { ...env, CRASH_POINT: point },
    })
    expect(await killed.exited).toEqual({ code: null, signal: 'SIGKILL' })
    expect(await migrate(env)).toMatchObject({ code: 0 })
    expect(await migrate(env)).toEqual(done('nothing to apply'))
  })

  test('passwords that differ and roles that are not right are put right', async ({ place: { env, users } }) => {
    await migrate(env)
    const functions = pg.escapeIdentifier(users.functions)
    await administer(env.DATABASE_OWNER_URL, `alter role ${functions} nologin password 'another'`)
    await administer(env.DATABASE_OWNER_URL, `revoke codex_k8s_functions from ${functions}`)
    await administer(env.DATABASE_OWNER_URL, `grant codex_k8s_audit to ${functions}`)
    expect(await migrate(env)).toEqual(done('nothing to apply'))
    expect(
      await query(
        env.DATABASE_URL,
        `select pg_has_role('codex_k8s_functions', 'member') as own, pg_has_role('codex_k8s_audit', 'member') as other`,
      ),
    ).toEqual([{ own: true, other: false }])
  })

  test('no password goes over the wire, so no log of statements has one', async ({ place: { env, users } }) => {
    const wire = await startProxy(env.DATABASE_OWNER_URL)
    const through = (url: string) => Object.assign(new URL(url), { host: new URL(wire.url).host }).href
    const told = Object.entries(env).map(([name, url]) => [name, through(url)] as const)
    expect(await migrate(Object.fromEntries(told))).toMatchObject({ code: 0 })
    expect(wire.heard()).toContain(users.functions)
    for (const url of Object.values(env))
      expect(wire.heard()).not.toContain(decodeURIComponent(new URL(url).password).slice(0, 12))
    const text = 'select rolpassword as kept from pg_authid where rolname = any($1)'
    const kept = await query(env.DATABASE_OWNER_URL, text, [Object.values(users)])
    expect(kept).toEqual(Array(2).fill({ kept: expect.stringMatching(/^SCRAM-SHA-256\$4096:/) }))
  })

  test.for<[what: string, change: (place: Place) => Readonly<Record<string, string>>, says: RegExp]>([
    [
      'the owner as the login of the functions',
      ({ env }) => ({ DATABASE_URL: env.DATABASE_OWNER_URL }),
      /^\w+ may do more than a function should: name a login that is not used for anything else$/,
    ],
    [
      'one login for both',
      ({ env }) => ({ AUDIT_DATABASE_URL: env.DATABASE_URL }),
      /^functions_\w+ is the login of all: audit-sink needs one of its own$/,
    ],
    [
      'another database for the functions',
      ({ env }) => ({ DATABASE_URL: urlOf(env.DATABASE_URL, 'template1') }),
      /^DATABASE_URL does not work: it leads to another database than DATABASE_OWNER_URL$/,
    ],
    [
      'a URL without a login',
      ({ env }) => ({ AUDIT_DATABASE_URL: withLogin(env.DATABASE_URL, { user: '', password: '' }) }),
      /^AUDIT_DATABASE_URL names no login$/,
    ],
  ])('%s is refused in one line that says so', async ([, change, says], { place }) => {
    const { code, lines } = await migrate({ ...place.env, ...change(place) })
    expect(code).toBe(1)
    expect(lines.at(-1)).toMatch(says)
  })

  test('F25 a database that is newer stays as it is, so a release can be taken back', async ({ place: { env } }) => {
    await migrate(env)
    await query(env.DATABASE_OWNER_URL, "insert into migrations (name, digest) values ('999999_tomorrow.sql', 'x')")
    expect(await migrate(env)).toEqual(
      done(
        'the database is newer than this version, by 999999_tomorrow.sql: its schema stays as it is',
        'nothing to apply',
      ),
    )
  })

  test('F25 a table that others use is asked for again until it is free', async ({ place: { env } }) => {
    const other = new pg.Client({ connectionString: env.DATABASE_OWNER_URL })
    await other.connect()
    // Whoever makes a table of the same name waits for this to end.
    await other.query('begin; create table projects (in_the_way int)')
    const migrating = migrate(env)
    await eventually(
      async () => {
        const text = `select 1 from pg_stat_activity
          where application_name = 'migrate' and datname = current_database() and state = 'idle' and query = 'rollback'`
        return (await query(env.DATABASE_OWNER_URL, text)).length > 0
      },
      { what: 'the migration to be put off', timeoutMs: 20_000 },
    )
    await other.query('rollback')
    await other.end()
    expect(await migrating).toMatchObject({ code: 0 })
  })
})
