import { randomUUID } from 'node:crypto'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { build } from 'esbuild'
import { sql } from 'kysely'
import { expect, inject, onTestFinished } from 'vitest'
import type { Db } from '#shared/db/connect.ts'
import { withLogin } from '../../deploy/local/logins.ts'
import { test } from '../support/database.ts'
import { answerTo, recordedDeliveries, type Answer } from '../support/deliveries.ts'
import { UNLIMITED, type EditedFile } from '../support/edited-source.ts'
import { FUNCTIONS_BUNDLE } from '../support/functions-bundle.ts'
import { expectOnceAndOnlyOnce } from '../support/invariants.ts'
import { endOf, spawnNode } from '../support/processes.ts'
import { NEXT, NEXT_MIGRATION, writeRelease, type Difference } from '../support/release.ts'
import { eventually } from '../support/wait.ts'
import { startWorld, type World } from '../support/world.ts'

/** Two processes behind one address, as two revisions are: each request may get to either. */
const BEHIND_ONE_ADDRESS: EditedFile = {
  file: 'shared/edge/serve.ts',
  edits: [
    ['server.listen({ port, host }, resolve)', 'server.listen({ port, host, reusePort: true }, resolve)'],
    ['response.shouldKeepAlive &&= !closing', 'response.shouldKeepAlive = false'],
  ],
}

/** A release as it is rolled out here: its functions, and the unit that migrates. */
interface Release {
  readonly functions: string
  readonly migrate: string
}

async function release({ edits, migrations }: Difference): Promise<Release> {
  const folder = mkdtempSync(join(tmpdir(), 'release-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  writeRelease(folder, { edits: [...edits, BEHIND_ONE_ADDRESS, UNLIMITED], migrations })
  const functions = join(folder, 'functions.mjs')
  const entryPoints = [join(folder, 'deploy/local/functions-main.ts')]
  await build({ ...FUNCTIONS_BUNDLE, absWorkingDir: folder, entryPoints, outfile: functions })
  cpSync(join(folder, 'shared/workflow/default.yaml'), join(folder, 'default.yaml'))
  return { functions, migrate: join(folder, 'deploy/migrate.ts') }
}

/** The release that this tree is. */
const THIS: Difference = { edits: [], migrations: {} }

test('F25 a release goes forth, back and forth again under traffic, its migration in between: nothing is refused, lost or doubled', async ({
  db,
  databaseUrl,
}) => {
  const [older, next] = await Promise.all([release(THIS), release(NEXT)])
  const world = await startWorld({ db, databaseUrl, functions: older.functions, change: WORKS })
  const traffic = await startTraffic(world)
  const requests = startRequests(world, db)
  await requests.underWay()
  expect(await migrate(next, databaseUrl)).toContain(`${NEXT_MIGRATION}: applied`)

  for (const { functions } of [next, older, next]) {
    const before = world.functions()
    await world.beside(functions)
    await requests.untilEachSettlesWhatEachWrote()
    await requests.underWay()
    expect(await before.kill('SIGTERM')).toEqual({ code: 0, signal: null })
    await traffic.answered(50)
    // What taking a release back begins with; after the first step it is the older one's turn.
    expect(await migrate(older, databaseUrl)).toContain(NEWER)
  }

  const { sent, refused } = await traffic.stop()
  expect(refused).toEqual([])
  // What was on its way over a connection that was closed comes again.
  await db
    .updateTable('hook_checks')
    .set({ next_check_at: sql`now() - interval '1 ms'` })
    .execute()
  await world.expireLeases()
  await world.drain()
  await expectOnceAndOnlyOnce(world, db, { runs: requests.made() })
  const stored = await db.selectFrom('inbox').select('delivery_id').where('delivery_id', 'in', sent).execute()
  expect(stored).toHaveLength(sent.length)
}, 180_000)

test('F25 a migration that the release before does not keep to shows: what comes is refused', async ({
  db,
  databaseUrl,
}) => {
  const older = await release(THIS)
  const hasty = await release({
    edits: [],
    migrations: {
      [NEXT_MIGRATION]:
        "alter table outbox add column release text not null default 'older';\nalter table outbox alter column release drop default;\n",
    },
  })
  const world = await startWorld({ db, databaseUrl, functions: older.functions })
  const traffic = await startTraffic(world)
  expect(await migrate(hasty, databaseUrl)).toContain(`${NEXT_MIGRATION}: applied`)
  await traffic.answered(10)
  const { refused } = await traffic.stop()
  expect(refused).not.toEqual([])
}, 120_000)

const WORKS = { files: { 'hello.txt': 'hello\n' }, works: 500 }
const NEWER = `the database is newer than this version, by ${NEXT_MIGRATION}: its schema stays as it is`

/** Runs the release's own unit; what it says. */
async function migrate({ migrate: script }: Release, databaseUrl: string): Promise<readonly string[]> {
  const { logins } = inject('postgres')
  const unit = spawnNode(script, {
    env: {
      DATABASE_OWNER_URL: databaseUrl,
      DATABASE_URL: withLogin(databaseUrl, logins.functions),
      AUDIT_DATABASE_URL: withLogin(databaseUrl, logins.audit),
    },
  })
  expect(await endOf(unit, 60_000)).toEqual({ code: 0, signal: null })
  return unit.lines
}

/** Deliveries of an event that nobody but the ledger wants, two at a time, each under an id of its own. */
async function startTraffic(world: World) {
  await world.label(await world.issue('a bug'), 'bug')
  const labeled = await eventually(
    async () => (await recordedDeliveries(world, 10)).find(({ body }) => body.includes('"action":"labeled"')),
    { what: 'the delivery of the label' },
  )
  const body = labeled?.body ?? ''
  const sent: string[] = []
  const refused: Answer[] = []
  let stopping = false
  const send = async () => {
    const guid = randomUUID()
    let answer: Answer
    // A connection that was closed under it is no answer, and a machine that is too busy says so.
    do answer = await answerTo(world, { event: 'issues', body, guid })
    while (answer.status === 0 || answer.code === 'overloaded')
    sent.push(guid)
    if (answer.status !== 202) refused.push(answer)
  }
  const lane = async () => {
    for (; !stopping; await pause(20)) await send()
  }
  const lanes = Promise.all([lane(), lane()])
  return {
    /** Waits for so many more answers. */
    answered(count: number) {
      const wanted = sent.length + count
      return eventually(() => sent.length >= wanted, { what: `${count} answers`, timeoutMs: 60_000 })
    },
    async stop() {
      stopping = true
      await lanes
      return { sent, refused }
    },
  }
}

function startRequests(world: World, db: Db) {
  let made = 0
  const stateOf = async (issue: number) =>
    (await db.selectFrom('runs').select('state').where('subject_number', '=', issue).executeTakeFirst())?.state
  const request = async (until: readonly string[]) => {
    const issue = await world.issue()
    await world.label(issue)
    made += 1
    const reached = async () => until.includes((await stateOf(issue)) ?? '')
    await eventually(reached, { what: `a run that is ${until.join(' or ')}`, timeoutMs: 60_000 })
  }
  return {
    made: () => made,
    /** A run whose agent is at work. */
    underWay: () => request(['running', 'publishing', 'succeeded']),
    /** Of what is written from now on each release has settled events of its own and of the other one. */
    async untilEachSettlesWhatEachWrote() {
      const { since } = await db
        .selectFrom('outbox')
        .select(({ fn }) => fn.max<number>('seq').as('since'))
        .executeTakeFirstOrThrow()
      for (let ways = 0; ways < 4;) {
        await request(['succeeded'])
        const { rows } = await sql`
          select distinct outbox.release is null, deliveries.release is null
          from deliveries join outbox on outbox.id = outbox_id
          where outbox.seq > ${since} and state = 'done' and consumer <> 'audit-sink'`.execute(db)
        ways = rows.length
      }
    },
  }
}
