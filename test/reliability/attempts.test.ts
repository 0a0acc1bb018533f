import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { sql } from 'kysely'
import type { Db } from '#shared/db/connect.ts'
import { mintToken } from '#shared/job/token.ts'
import { test } from '../support/database.ts'
import { expectOnceAndOnlyOnce } from '../support/invariants.ts'
import { bundleWith } from '../support/mutant.ts'
import { endOf } from '../support/processes.ts'
import { eventually } from '../support/wait.ts'
import { startWorld, TOKEN_KEY, type World } from '../support/world.ts'

const files = { 'hello.txt': 'hello\n' }
const hangsOnce = { files, hangs: 1 }

describe('an attempt whose Job is gone', () => {
  test('C10: is lost and not created again; the next one has the next number and the only pull request', async ({
    db,
    databaseUrl,
  }) => {
    const world = await startWorld({ db, databaseUrl, change: hangsOnce })
    await world.label(await world.issue())
    await eventually(async () => (await attempts(db))[0]?.state === 'created', { what: 'the first attempt' })
    await eventually(() => world.jobLedger().length === 1, { what: 'its process' })
    await world.functions().kill()
    await removeJob(world, db)
    await world.restart()
    await world.expireLeases()
    await world.drain()
    await expectSecondAttempt(world, db)
  })

  test('C10: is lost too when its dispatcher was killed before it could write down that it had created it', async ({
    db,
    databaseUrl,
  }) => {
    const world = await startWorld({ db, databaseUrl, change: hangsOnce, crashPoint: 'dispatcher.after-create' })
    await world.drain()
    await world.arm()
    await world.label(await world.issue())
    expect(await endOf(world.functions())).toMatchObject({ signal: 'SIGKILL' })
    // The agent speaks while the dispatcher does not come back.
    const broker = world.broker
    broker.pause()
    await world.restart()
    await eventually(async () => (await attempts(db))[0]?.last_seen_at !== null, { what: 'a word of the agent' })
    expect(await attempts(db)).toMatchObject([{ attempt: 1, state: 'intended' }])
    await removeJob(world, db)
    broker.resume()
    await world.expireLeases()
    await world.drain()
    await expectSecondAttempt(world, db)
  })

  test('C10: twice is the end of the run, with a reason', async ({ db, databaseUrl }) => {
    const world = await startWorld({ db, databaseUrl, change: { exit: 1 } })
    await world.label(await world.issue())
    await world.drain()
    expect(await attempts(db)).toMatchObject([
      { attempt: 1, state: 'lost' },
      { attempt: 2, state: 'stopped' },
    ])
    expect(await db.selectFrom('runs').select(['state', 'reason']).execute()).toEqual([
      { state: 'failed', reason: 'agent_lost' },
    ])
    await expectOnceAndOnlyOnce(world, db, { runs: 0, failed: 1 })
  })
})

test('C11: two dispatchers with one intent, one of them stopped in between and resumed, create one Job', async ({
  db,
  databaseUrl,
}) => {
  // The crash point stops the process instead of killing it, as a long collection of garbage or a frozen node would.
  const functions = await bundleWith('shared/crash-point.ts', [
    ["process.kill(process.pid, 'SIGKILL')", "{ armed = undefined; process.kill(process.pid, 'SIGSTOP') }"],
  ])
  const world = await startWorld({ db, databaseUrl, functions, crashPoint: 'dispatcher.after-intent' })
  await world.drain()
  await world.arm()
  await world.label(await world.issue())
  const first = world.functions()
  await eventually(() => isStopped(first.pid), { what: 'the first dispatcher to stop' })
  expect(await attempts(db)).toMatchObject([{ attempt: 1, state: 'intended' }])
  await world.another()
  // What the server does by itself with transactions of which nothing is heard for 20 s.
  await sql`select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and state like 'idle in transaction%'`.execute(db)
  await world.expireLeases()
  await eventually(async () => (await world.sweep(), (await attempts(db))[0]?.state === 'finished'), {
    what: 'the second dispatcher to do the work',
  })
  process.kill(first.pid, 'SIGCONT')
  await world.drain()
  await expectOnceAndOnlyOnce(world, db, { runs: 1 })
  expect(await attempts(db)).toMatchObject([{ attempt: 1, state: 'finished' }])
})

async function expectSecondAttempt(world: World, db: Db): Promise<void> {
  expect(await attempts(db)).toMatchObject([
    { attempt: 1, state: 'lost' },
    { attempt: 2, state: 'finished' },
  ])
  expect(world.jobLedger().map(({ attempt }) => attempt)).toEqual([1, 2])
  await expectOnceAndOnlyOnce(world, db, { runs: 1 })
  expect(await handIn(world, db, 1)).toEqual([409, 'fenced'])
}

/** What the first attempt is told if it was alive after all and hands something in. */
async function handIn(world: World, db: Db, number: number): Promise<[status: number, code: string]> {
  const row = (await attempts(db)).find(({ attempt }) => attempt === number)
  const token = mintToken(TOKEN_KEY, 'run', { run: row?.run_id ?? '', attempt: number, fence: row?.fence ?? 0 })
  const usage = { inputTokens: 0, cachedInputTokens: 0, outputTokens: 0 }
  const response = await fetch(`${world.url('run-gateway')}/v1/result`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ outcome: 'failed', reason: 'agent_failed', detail: 'late', log: null, usage }),
  })
  return [response.status, ((await response.json()) as { code: string }).code]
}

const attempts = (db: Db) => db.selectFrom('attempts').selectAll().orderBy('attempt').execute()

/** The agent ends and its Job is taken away, as a node does that dies, or the clock of finished Jobs. */
async function removeJob(world: World, db: Db): Promise<void> {
  const { name } = await db.selectFrom('intents').select('name').where('kind', '=', 'job').executeTakeFirstOrThrow()
  const folder = join(world.jobs, name)
  const pid = () => Number(readFileSync(join(folder, 'supervisor.pid'), 'utf8'))
  const supervisor = await eventually(pid, { what: 'somebody who watches over the agent' })
  process.kill(supervisor, 'SIGTERM')
  await eventually(() => !isRunning(supervisor), { what: 'the end of the agent' })
  rmSync(folder, { recursive: true })
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

const isStopped = (pid: number) => /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
