import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, vi } from 'vitest'
import { processesOf } from '../../functions/stage-dispatcher/job-processes.ts'
import type { Db } from '#shared/db/connect.ts'
import { test } from '../support/database.ts'
import { expectNothingLost } from '../support/invariants.ts'
import { startModel } from '../support/model.ts'
import { eventually } from '../support/wait.ts'
import { functionsWithBudget } from '../support/workflow.ts'
import { startWorld, type World } from '../support/world.ts'

vi.setConfig({ testTimeout: 90_000 })

// No clock ticks in these worlds: whatever ends here ends because somebody was told, not because a sweep came by.

const path = '/repos/maria/shop/issues'
const files = { 'hello.txt': 'hello\n' }
const ever = { hangs: 9 }
/** Ignores SIGTERM, and has started something that left its process group and its session. */
const stubborn = { ...ever, deaf: true, daemon: true }

describe('work that is not wanted any more stops', () => {
  test.for([
    ['an agent that obeys', ever],
    ['an agent that ignores SIGTERM and has daemonised', stubborn],
  ] as const)('when its label is taken off: %s', async ([, change], { db, databaseUrl }) => {
    const world = await startWorld({ db, databaseUrl, change })
    const issue = await atWork(world)
    const since = stopwatch('label taken off')
    await world.person('DELETE', `${path}/${issue}/labels/run:dev`)
    await stopped(world, since)
    await said(world, issue, 'was cancelled', 'The label was taken off again.', since)
    await expectOneEnd(world, db, 'cancelled', 'label_removed')
  })

  test('when its issue is closed, and its label goes', async ({ db, databaseUrl }) => {
    const world = await startWorld({ db, databaseUrl, change: stubborn })
    const issue = await atWork(world)
    const since = stopwatch('issue closed')
    await world.person('PATCH', `${path}/${issue}`, { state: 'closed' })
    await stopped(world, since)
    await said(world, issue, 'was cancelled', 'The issue is closed.', since)
    await unlabelled(world, issue)
    await expectOneEnd(world, db, 'cancelled', 'subject_closed')
  })
})

test('an agent that goes on after it has handed in its result is stopped', async ({ db, databaseUrl }) => {
  const world = await startWorld({ db, databaseUrl, change: { files, deaf: true, daemon: true, stays: true } })
  await world.label(await world.issue())
  await eventually(async () => (await world.forgeLedger('pull.created')).length === 1, slow('the pull request'))
  await stopped(world, stopwatch('pull request opened'))
  await world.drain()
  await expectNothingLost(db)
})

describe('an agent that is at its limit ends', () => {
  test('at its deadline, however stubborn', async ({ db, databaseUrl }) => {
    const functions = functionsWithBudget({ seconds: 4 })
    const world = await startWorld({ db, databaseUrl, functions, change: stubborn })
    const issue = await atWork(world)
    const { deadline_at } = await db.selectFrom('attempts').select('deadline_at').executeTakeFirstOrThrow()
    const since = stopwatch('deadline', deadline_at)
    await stopped(world, since)
    await said(world, issue, 'failed', 'The run took longer than its stage allows.', since)
    await unlabelled(world, issue)
    await expectOneEnd(world, db, 'failed', 'deadline_exceeded')
  })

  test('when it has used up its tokens and goes on asking, whatever it makes of the answer', async ({
    db,
    databaseUrl,
  }) => {
    const model = await startModel()
    const functions = functionsWithBudget({ tokens: 32_200 })
    const world = await startWorld({ db, databaseUrl, functions, change: { spends: true }, modelUrl: model.url })
    const issue = await world.issue()
    await world.label(issue)
    const since = stopwatch('budget used up')
    await said(world, issue, 'failed', 'The run used up its tokens.', since)
    await stopped(world, since)
    expect(await comment(world, issue)).toMatch(/\d+ of 32,200 tokens/)
    await unlabelled(world, issue)
    await expectOneEnd(world, db, 'failed', 'budget_exhausted')
  })

  test('when it is stuck and shows no sign of life', async ({ db, databaseUrl }) => {
    const functions = functionsWithBudget({ silentSeconds: 2 })
    const world = await startWorld({ db, databaseUrl, functions, change: { ...stubborn, stops: true } })
    const issue = await atWork(world)
    const since = stopwatch('2 s before the limit of silence')
    await stopped(world, since)
    await said(world, issue, 'failed', 'The agent gave no sign of life', since)
    await unlabelled(world, issue)
    await expectOneEnd(world, db, 'failed', 'agent_silent')
  })
})

describe('an agent that is killed', () => {
  test('is lost at once, and the next one does the work', async ({ db, databaseUrl }) => {
    const world = await startWorld({ db, databaseUrl, change: { dies: 1, daemon: true, files } })
    const issue = await world.issue()
    await world.label(issue)
    await eventually(async () => (await world.forgeLedger('pull.created')).length === 1, slow('the pull request'))
    await world.drain()
    expect((await attempts(db)).map(({ state }) => state)).toEqual(['lost', 'finished'])
    expect(await comment(world, issue)).toContain('attempt 2 of 2')
    expect(processes(world)).toEqual([])
    await expectNothingLost(db)
  })

  test('again is the end of its run', async ({ db, databaseUrl }) => {
    const world = await startWorld({ db, databaseUrl, change: { dies: 2, daemon: true } })
    const issue = await world.issue()
    await world.label(issue)
    const since = stopwatch('label set, killed twice')
    await said(world, issue, 'failed', 'The place where the agent worked disappeared, more than once.', since)
    await stopped(world, since)
    expect(await comment(world, issue)).toContain('Details: `it was killed by SIGKILL`')
    await unlabelled(world, issue)
    await expectOneEnd(world, db, 'failed', 'agent_lost')
    expect((await attempts(db)).map(({ state }) => state)).toEqual(['lost', 'stopped'])
  })
})

test('runs that wait are told their place and for what, start in order, and are told when they come nearer', async ({
  db,
  databaseUrl,
}) => {
  const world = await startWorld({ db, databaseUrl, change: ever, maxActive: 1 })
  const [first, second, third] = [await atWork(world), await world.issue(), await world.issue()]
  for (const issue of [second, third]) {
    await world.label(issue)
    await eventually(async () => (await comment(world, issue)) !== '', slow('the comment'))
  }
  const work = '1 run is at work in this repository (at most 1).'
  expect(await comment(world, second)).toContain(`waits for its turn**: next in line; ${work}`)
  expect(await comment(world, third)).toContain(`waits for its turn**: 1 ahead of it; ${work}`)

  await world.person('DELETE', `${path}/${first}/labels/run:dev`)
  await eventually(() => world.jobLedger().length === 2, slow('the next one to start'))
  const told = await db.selectFrom('runs').select(['subject_number', 'ahead', 'state']).orderBy('created_at').execute()
  expect(told.at(-1)).toEqual({ subject_number: third, ahead: 0, state: 'queued' })
  // A comment is edited every ten seconds at most; what was too soon is shown by the next look.
  const shown = async () => (await world.sweep(), (await comment(world, third)).includes('next in line'))
  await eventually(shown, slow('the new place'))
  for (const issue of [second, third]) await world.person('PATCH', `${path}/${issue}`, { state: 'closed' })
  await world.drain()
  expect(processes(world)).toEqual([])
  expect(world.jobLedger()).toHaveLength(2)
})

const slow = (what: string) => ({ what, timeoutMs: 40_000 })

/** An issue whose run is at work, with an agent that has taken its input, and a comment that says so. */
async function atWork(world: World): Promise<number> {
  const issue = await world.issue()
  await world.label(issue)
  await eventually(() => jobs(world).some((job) => existsSync(join(job, 'work/ready'))), slow('the agent'))
  expect(processes(world)).not.toEqual([])
  await eventually(async () => (await comment(world, issue)) !== '', slow('the comment'))
  return issue
}

/** Tells how long after the fact something was seen. The figure is for whoever reads it; a busy machine fails nothing. */
function stopwatch(fact: string, at = new Date()): (seen: string) => void {
  return (seen) => {
    const seconds = ((Date.now() - at.getTime()) / 1000).toFixed(1)
    process.stdout.write(`${fact}: ${seen} after ${seconds} s\n`)
  }
}

async function stopped(world: World, since: (seen: string) => void): Promise<void> {
  await eventually(() => processes(world).length === 0, slow('the processes of the agent to be gone'))
  since('no process of the agent')
}

async function said(world: World, issue: number, headline: string, reason: string, since: (seen: string) => void) {
  await eventually(
    async () => {
      const shown = await comment(world, issue)
      return shown.includes(`**\`run:dev\` ${headline}**`) && shown.includes(reason)
    },
    slow(`a comment: ${reason}`),
  )
  since('comment')
}

async function unlabelled(world: World, issue: number): Promise<void> {
  await eventually(async () => {
    const { labels } = await world.person<{ labels: { name: string }[] }>('GET', `${path}/${issue}`)
    return !labels.some(({ name }) => name === 'run:dev')
  }, slow('the label to be gone'))
}

async function expectOneEnd(world: World, db: Db, state: string, reason: string): Promise<void> {
  await world.drain()
  expect(await db.selectFrom('runs').select(['state', 'reason']).execute()).toEqual([{ state, reason }])
  const ends = await db.selectFrom('outbox').select('type').where('type', 'like', `%.run.${state}.v1`).execute()
  expect(ends).toHaveLength(1)
  const comments = await world.forgeLedger('comment.created')
  expect(comments).toHaveLength(1)
  const started = world.jobLedger().map(({ run, attempt }) => `${run}/${attempt}`)
  expect(new Set(started).size).toBe(started.length)
  expect(processes(world)).toEqual([])
  expect(
    await db.selectFrom('attempts').select('run_id').where('state', 'in', ['intended', 'created']).execute(),
  ).toEqual([])
  await expectNothingLost(db)
}

async function comment(world: World, issue: number): Promise<string> {
  const [first] = await world.person<{ body: string }[]>('GET', `${path}/${issue}/comments`)
  return first?.body ?? ''
}

const attempts = (db: Db) => db.selectFrom('attempts').selectAll().orderBy('attempt').execute()

/** Every process of every Job of this world, by its environment, and by the pids that agents wrote down. */
function processes(world: World): number[] {
  const daemons = jobs(world)
    .map((job) => join(job, 'work/daemon'))
    .filter((file) => existsSync(file))
    .map((file) => Number(readFileSync(file, 'utf8')))
  return [...jobs(world).flatMap((job) => processesOf(job, undefined)), ...daemons.filter(isAlive)]
}

function jobs(world: World): string[] {
  const names = existsSync(world.jobs) ? readdirSync(world.jobs) : []
  return names.filter((name) => name.startsWith('run-')).map((name) => join(world.jobs, name))
}

function isAlive(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}
