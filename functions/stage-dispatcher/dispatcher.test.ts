import fc from 'fast-check'
import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { connect, type Db } from '#shared/db/connect.ts'
import type { Row, RunState } from '#shared/db/schema.ts'
import { transaction } from '#shared/db/transaction.ts'
import { sha256 } from '#shared/digest.ts'
import { noRelay, post, quiet, sweep } from '#shared/edge/testing/post.ts'
import { RetryLater } from '#shared/errors.ts'
import { EVENT_TYPES, type PlatformType } from '#shared/events/types.ts'
import type { Manifest } from '#shared/job/bundle.ts'
import { verifyToken } from '#shared/job/token.ts'
import { emit } from '#shared/outbox/write.ts'
import { runEvent } from '#shared/run/run-event.ts'
import { addAttempt, addProject, addRun, runNow, saidOf, say } from '#shared/run/testing/rows.ts'
import { create } from './app.ts'
import { jobName } from './job-name.ts'
import type { JobView } from './launcher.ts'
import { mapLauncher } from './testing/launcher.ts'
import { test } from './testing/test.ts'

const tokenKey = 'a key of the test, long enough for anything'

function dispatcher(db: Db, launcher = mapLauncher(), namespaces: readonly string[] = []) {
  const app = create({ tokenKey, namespaces }, { db, relay: noRelay, log: quiet, launcher })
  return {
    app,
    launcher,
    approve: async (run: Row<'runs'>, type: PlatformType = EVENT_TYPES.stageApproved) =>
      post(app, db, 'stage-dispatcher', await say(db, type, run)),
  }
}

const states = async (db: Db) => {
  const rows = await db.selectFrom('runs').select(['state', 'reason']).orderBy('created_at').orderBy('id').execute()
  return rows.map(({ state, reason }) => (reason === null ? state : `${state} ${reason}`))
}

async function queue(db: Db, count: number, maxActive: number) {
  const project = await addProject(db, { max_active: maxActive })
  const runs = []
  for (let index = 0; index < count; index += 1) {
    const created_at = new Date(Date.UTC(2026, 0, 1, 0, 0, index))
    runs.push(await addRun(db, project, { state: 'queued', columns: { created_at } }))
  }
  return { project, runs, run: runs[0] as Row<'runs'> }
}

describe('capacity', () => {
  test('as many runs as fit start, the oldest first; the others wait and say so', async ({ db }) => {
    const { approve, launcher } = dispatcher(db)
    const { runs } = await queue(db, 4, 2)
    const [first, second, third, fourth] = runs
    for (const run of runs.toReversed()) expect(await approve(run)).toMatchObject({ status: 202, state: 'done' })

    expect(launcher.created.map(({ run }) => run)).toEqual([first?.id, second?.id])
    expect(await states(db)).toEqual(['running', 'running', 'queued', 'queued'])
    expect(await saidOf(db, first?.id ?? '')).toEqual(['run.started'])
    expect(await saidOf(db, third?.id ?? '')).toEqual(['run.queued'])
    expect(await saidOf(db, fourth?.id ?? '')).toEqual(['run.queued'])
  })

  test('a run that ends makes room for the next in the queue', async ({ db }) => {
    const { approve, launcher } = dispatcher(db)
    const { runs } = await queue(db, 2, 1)
    const [first, second] = runs
    await approve(first as NonNullable<typeof first>)
    await db
      .updateTable('attempts')
      .set({ state: 'finished', result_digest: await emptyBlob(db) })
      .execute()
    await db
      .updateTable('runs')
      .set({ state: 'publishing' })
      .where('id', '=', first?.id ?? '')
      .execute()

    await approve(first as NonNullable<typeof first>, EVENT_TYPES.runFinished)
    expect(launcher.created.map(({ run }) => run)).toEqual([first?.id, second?.id])
  })

  test('an agent that has handed in its result is stopped, should it go on', async ({ db }) => {
    const { app, approve, launcher } = dispatcher(db)
    const { run } = await queue(db, 1, 1)
    await approve(run)
    await db
      .updateTable('attempts')
      .set({ state: 'finished', result_digest: await emptyBlob(db) })
      .execute()
    const finished = await transaction(db, (tx) =>
      emit(tx, 'run-gateway', runEvent(EVENT_TYPES.runFinished, run, { rows: {}, attempt: 1 })),
    )
    await post(app, db, 'stage-dispatcher', finished)
    expect(launcher.stopped).toEqual([jobName(run.id, 1)])
  })

  test('a disconnected repository starts nothing', async ({ db }) => {
    const { approve, launcher } = dispatcher(db)
    const { runs } = await queue(db, 1, 1)
    await db.updateTable('projects').set({ state: 'disconnected' }).execute()
    for (const run of runs) await approve(run)
    expect(launcher.created).toEqual([])
  })

  test('any number of dispatchers at once never start more than fits, and nothing twice', async ({
    db,
    databaseUrl,
  }) => {
    const others = [1, 2].map((number) => connect(databaseUrl, { name: `dispatcher ${number}` }))
    const launcher = mapLauncher()
    const replicas = [db, ...others].map((own) => dispatcher(own, launcher))
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 7 }), async (fits, count) => {
        const { project, runs } = await queue(db, count, fits)
        const before = launcher.created.length
        await Promise.all(runs.flatMap((run) => replicas.map(({ approve }) => approve(run))))
        const open = await db
          .selectFrom('attempts')
          .innerJoin('runs', 'runs.id', 'attempts.run_id')
          .select(['run_id'])
          .where('project_id', '=', project.id)
          .execute()
        expect(open).toHaveLength(Math.min(fits, count))
        expect(
          launcher.created
            .slice(before)
            .map(({ run }) => run)
            .toSorted(),
        ).toEqual(open.map(({ run_id }) => run_id).toSorted())
      }),
      { numRuns: 5 },
    )
    await Promise.all(others.map((own) => own.destroy()))
  })

  test('whatever arrives and ends, runs start in order, never more than fit, and every one that waits knows its place', async ({
    db,
  }) => {
    const act = fc.oneof(
      { weight: 3, arbitrary: fc.constant('arrives' as const) },
      fc.constant('ends' as const),
      fc.constant('is lost' as const),
      fc.nat(10).map((index) => ({ cancelled: index })),
    )
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 3 }), fc.array(act, { maxLength: 14 }), async (fits, acts) => {
        const { approve, launcher } = dispatcher(db)
        const project = await addProject(db, { max_active: fits })
        const of = (...wanted: RunState[]) =>
          db
            .selectFrom('runs')
            .selectAll()
            .where('project_id', '=', project.id)
            .where('state', 'in', wanted)
            .orderBy('created_at')
            .orderBy('id')
            .execute()
        const over = async (run: Row<'runs'>, state: 'cancelled' | 'queued') => {
          await db
            .updateTable('attempts')
            .set({ state: state === 'queued' ? 'lost' : 'stopped' })
            .where('run_id', '=', run.id)
            .execute()
          await db
            .updateTable('runs')
            .set({ state, reason: state === 'queued' ? null : 'superseded', ahead: null })
            .where('id', '=', run.id)
            .execute()
          await approve(run, state === 'queued' ? EVENT_TYPES.runLost : EVENT_TYPES.runCancelled)
        }
        for (const [index, each] of acts.entries()) {
          const started = launcher.created.length
          if (each === 'arrives') {
            // Several in one millisecond: then their ids decide.
            const created_at = new Date(Date.UTC(2026, 0, 1, 0, 0, Math.floor(index / 3)))
            const run = await addRun(db, project, { state: 'queued', columns: { created_at } })
            await approve(run)
          } else if (typeof each === 'object') {
            const waiting = await of('queued')
            const run = waiting[each.cancelled % Math.max(1, waiting.length)]
            if (run !== undefined) await over(run, 'cancelled')
          } else {
            const [run] = await of('running')
            if (run !== undefined) await over(run, each === 'ends' ? 'cancelled' : 'queued')
          }
          const [waiting, running] = [await of('queued'), await of('starting', 'running')]
          expect(running.length).toBeLessThanOrEqual(fits)
          expect(waiting.length === 0 || running.length === fits).toBe(true)
          // Whoever started now was before everybody who waits still.
          const position = (id: string) =>
            [...waiting, ...running]
              .toSorted((a, b) => a.created_at.getTime() - b.created_at.getTime() || (a.id < b.id ? -1 : 1))
              .findIndex((run) => run.id === id)
          for (const { run } of launcher.created.slice(started))
            for (const { id } of waiting) expect(position(run)).toBeLessThan(position(id))
          expect(waiting.slice(0, 5).map(({ ahead }) => ahead)).toEqual(waiting.slice(0, 5).map((_, place) => place))
          expect(waiting.map(({ ahead }) => ahead)).not.toContain(null)
        }
      }),
      { numRuns: 12 },
    )
  })

  test('a place is told once, and again only near the front when it changes', async ({ db }) => {
    const { approve } = dispatcher(db)
    const { runs } = await queue(db, 9, 1)
    for (const run of runs) await approve(run)
    const told = async () =>
      Promise.all(runs.map(async ({ id }) => (await saidOf(db, id)).filter((type) => type === 'run.queued').length))
    expect(await told()).toEqual([0, 1, 1, 1, 1, 1, 1, 1, 1])
    const [first] = runs as [Row<'runs'>]
    await db.updateTable('attempts').set({ state: 'stopped' }).execute()
    await db.updateTable('runs').set({ state: 'cancelled', reason: 'superseded' }).where('id', '=', first.id).execute()
    await approve(first, EVENT_TYPES.runCancelled)
    expect(await told()).toEqual([0, 1, 2, 2, 2, 2, 2, 1, 1])
    await approve(first, EVENT_TYPES.runCancelled)
    expect(await told()).toEqual([0, 1, 2, 2, 2, 2, 2, 1, 1])
    const { record } = await db
      .selectFrom('outbox')
      .select('record')
      .where('type', '=', EVENT_TYPES.runQueued)
      .orderBy('seq', 'desc')
      .executeTakeFirstOrThrow()
    expect(record).toMatchObject({ rows: { runs: [{ state: 'queued', ahead: 4 }] } })
  })

  test('L10 a run that waited longer than a minute is judged again before it starts', async ({ db }) => {
    const { approve, launcher } = dispatcher(db)
    const { runs } = await queue(db, 1, 1)
    const [run] = runs
    await db
      .updateTable('runs')
      .set({ judged_at: sql`now() - interval '61 seconds'` })
      .execute()
    await approve(run as NonNullable<typeof run>)
    expect(launcher.created).toEqual([])
    expect(await saidOf(db, run?.id ?? '')).toEqual(['stage.due', 'run.queued'])

    await db
      .updateTable('runs')
      .set({ judged_at: sql`now()` })
      .execute()
    await approve(run as NonNullable<typeof run>)
    expect(launcher.created).toHaveLength(1)
  })
})

describe('one Job per attempt', () => {
  test('a Job carries tokens of its attempt and the time that is left', async ({ db }) => {
    const { approve, launcher } = dispatcher(db)
    const { runs } = await queue(db, 1, 1)
    for (const run of runs) await approve(run)
    const [job] = launcher.created
    const attempt = await db.selectFrom('attempts').selectAll().executeTakeFirstOrThrow()
    expect(job).toMatchObject({ name: jobName(attempt.run_id, 1), image: 'agent', attempt: 1 })
    expect(job?.seconds).toBeGreaterThan(590)
    expect(job?.seconds).toBeLessThanOrEqual(600)
    const ref = { run: attempt.run_id, attempt: 1, fence: attempt.fence }
    expect(verifyToken(tokenKey, 'run', job?.tokens.run ?? '')).toEqual(ref)
    expect(verifyToken(tokenKey, 'model', job?.tokens.model ?? '')).toEqual(ref)
  })

  test('C9 a Job that exists from before a crash is adopted', async ({ db }) => {
    const { approve, launcher } = dispatcher(db)
    const { run } = await queue(db, 1, 1)
    launcher.jobs.set(jobName(run.id, 1), { uid: 'from before', run: run.id, state: 'running' })
    await approve(run)
    expect(await states(db)).toEqual(['running'])
    expect(await db.selectFrom('intents').select(['state', 'external_id']).execute()).toEqual([
      { state: 'done', external_id: 'from before' },
    ])
  })

  test("F9 a name that somebody else's Job has fails the run, and that Job is left alone", async ({ db }) => {
    const { app, approve, launcher } = dispatcher(db)
    const { run } = await queue(db, 1, 1)
    launcher.jobs.set(jobName(run.id, 1), { uid: 'theirs', run: 'another run', state: 'running' })
    await approve(run)
    expect(await states(db)).toEqual(['failed job_name_conflict'])
    expect((await sweep(app)).status).toBe(200)
    expect(launcher.stopped).toEqual([])
    expect(launcher.jobs.get(jobName(run.id, 1))?.state).toBe('running')
  })

  test('F11 a Job that is refused fails the run with what was said', async ({ db }) => {
    const { approve, launcher } = dispatcher(db)
    const { runs } = await queue(db, 1, 1)
    launcher.instead = async () => ({ kind: 'refused', detail: 'exceeded quota' })
    for (const run of runs) await approve(run)
    expect(await states(db)).toEqual(['failed job_refused'])
    expect((await runNow(db, runs[0]?.id ?? '')).detail).toBe('exceeded quota')
  })

  test('F10 a creation whose outcome is unknown is asked for again, and holds up no other', async ({ db }) => {
    const { approve, launcher } = dispatcher(db)
    const { runs } = await queue(db, 2, 2)
    const [lost, fine] = runs.map(({ id }) => id)
    launcher.instead = (job) => (job.run === lost ? Promise.reject(new RetryLater('reset')) : undefined)
    expect(await approve(runs[0] as NonNullable<(typeof runs)[0]>)).toMatchObject({ status: 503, state: 'pending' })
    expect(await states(db)).toEqual(['starting', 'running'])
    expect(launcher.created.map(({ run }) => run)).toEqual([fine])

    launcher.instead = undefined
    await approve(runs[1] as NonNullable<(typeof runs)[1]>)
    expect(await states(db)).toEqual(['running', 'running'])
    expect(launcher.created.map(({ run }) => run)).toEqual([fine, lost])
  })

  test('C8 an intent without a Job is carried out by the sweep', async ({ db }) => {
    const { app, launcher, approve } = dispatcher(db)
    const { runs } = await queue(db, 1, 1)
    launcher.instead = () => Promise.reject(new RetryLater('away'))
    for (const run of runs) await approve(run)
    launcher.instead = undefined
    await sweep(app)
    expect(launcher.created).toHaveLength(1)
    expect(await states(db)).toEqual(['running'])
  })
})

describe('the sweep', () => {
  async function running(db: Db, own = dispatcher(db)) {
    const { run, project } = await queue(db, 1, 1)
    await own.approve(run)
    return { ...own, run, project }
  }

  test('C10 a Job that is gone is a lost attempt: once more with a new fence, then agent_lost', async ({ db }) => {
    const { app, launcher, run } = await running(db)
    launcher.jobs.delete(jobName(run.id, 1))
    await sweep(app)
    expect(await saidOf(db, run.id)).toEqual(['run.started', 'run.lost', 'run.started'])
    expect(launcher.created.map(({ attempt }) => attempt)).toEqual([1, 2])
    const fences = await db.selectFrom('attempts').select(['state', 'fence']).orderBy('attempt').execute()
    expect(fences.map(({ state }) => state)).toEqual(['lost', 'created'])
    expect(fences[1]?.fence).toBeGreaterThan(fences[0]?.fence ?? Infinity)

    launcher.jobs.delete(jobName(run.id, 2))
    await sweep(app)
    await sweep(app)
    expect(await states(db)).toEqual(['failed agent_lost'])
    expect(launcher.created).toHaveLength(2)
  })

  test('an agent that is at work is left alone', async ({ db }) => {
    const { app, launcher, run } = await running(db)
    await sweep(app)
    expect(await saidOf(db, run.id)).toEqual(['run.started'])
    expect(launcher.stopped).toEqual([])
  })

  test('an agent that nobody has heard of for far too long is stopped, though its Job is there', async ({ db }) => {
    const { app, launcher, run } = await running(db)
    const heard = (seconds: number) =>
      db
        .updateTable('attempts')
        .set({ last_seen_at: sql`now() - make_interval(secs => ${seconds})` })
        .execute()
    await heard(1_150)
    await sweep(app)
    expect(await states(db)).toEqual(['running'])
    await heard(1_250)
    await sweep(app)
    expect(await states(db)).toEqual(['failed agent_silent'])
    expect(launcher.stopped).toContain(jobName(run.id, 1))
  })

  test('a deadline that passed fails the run and stops the Job', async ({ db }) => {
    const { app, launcher, run } = await running(db)
    await db
      .updateTable('attempts')
      .set({ deadline_at: sql`now() - interval '1 ms'` })
      .execute()
    await sweep(app, 3_600)
    expect(await states(db)).toEqual(['failed deadline_exceeded'])
    expect(launcher.stopped).toContain(jobName(run.id, 1))
  })

  test.for([
    ['gone for the first time', 1],
    ['gone for the last time', 2],
    ['late', 1],
  ] as const)('a result that comes in while the launcher is asked counts: %s', async ([what, attempt], { db }) => {
    const { app, launcher, run } = await running(db)
    if (attempt === 2) {
      await db.updateTable('attempts').set({ state: 'lost' }).execute()
      await addAttempt(db, run.id)
    }
    if (what === 'late')
      await db
        .updateTable('attempts')
        .set({ deadline_at: sql`now() - interval '1 ms'` })
        .execute()
    launcher.get = async () => {
      await db
        .updateTable('attempts')
        .set({ state: 'finished', result_digest: await emptyBlob(db) })
        .where('state', '=', 'created')
        .execute()
      await db
        .updateTable('runs')
        .set({ state: 'publishing', version: sql`version + 1` })
        .execute()
      return undefined
    }
    await sweep(app)
    expect(await states(db)).toEqual(['publishing'])
  })

  test('a cancelled run has its Job stopped, by its event or by the sweep, and only once', async ({ db }) => {
    const { app, approve, launcher, run } = await running(db)
    await db.updateTable('runs').set({ state: 'cancelled', reason: 'label_removed' }).execute()
    await approve(run, EVENT_TYPES.runCancelled)
    expect(launcher.stopped).toEqual([jobName(run.id, 1)])
    await sweep(app)
    expect(launcher.stopped).toHaveLength(1)
    expect(await db.selectFrom('intents').select('state').execute()).toEqual([{ state: 'gone' }])
  })

  test('a project whose Jobs cannot be created holds up no other project', async ({ db }) => {
    const { app, launcher } = dispatcher(db)
    const [bad, good] = [await queue(db, 1, 1), await queue(db, 1, 1)]
    launcher.instead = (job) => (job.run === bad.runs[0]?.id ? Promise.reject(new RetryLater('no')) : undefined)
    expect((await sweep(app)).status).toBe(503)
    expect(launcher.created.map(({ run }) => run)).toEqual([good.runs[0]?.id])
  })
})

describe('a knock: a Job has ended', () => {
  const running = async (db: Db) => {
    const own = dispatcher(db)
    const { run } = await queue(db, 1, 1)
    await own.approve(run)
    const knock = (job = jobName(run.id, 1), attempt = 1) =>
      own.app.fetch(
        new Request(`http://dispatcher/jobs/${attempt === 1 ? job : jobName(run.id, attempt)}/ended`, {
          method: 'POST',
        }),
      )
    const ended = (end: Partial<JobView> = { end: 'it was killed by SIGKILL' }, attempt = 1) =>
      own.launcher.jobs.set(jobName(run.id, attempt), { uid: 'uid 0', run: run.id, state: 'ended', ...end })
    return { ...own, run, knock, ended }
  }

  test('C10 has its attempt judged at once: once more, then agent_lost', async ({ db }) => {
    const { approve, run, knock, ended, launcher } = await running(db)
    ended()
    expect((await knock()).status).toBe(202)
    expect(await saidOf(db, run.id)).toEqual(['run.started', 'run.lost'])
    await approve(run, EVENT_TYPES.runLost)
    expect(launcher.created.map(({ attempt }) => attempt)).toEqual([1, 2])
    ended(undefined, 2)
    expect((await knock(undefined, 2)).status).toBe(202)
    expect(await states(db)).toEqual(['failed agent_lost'])
    expect((await runNow(db, run.id)).detail).toBe('it was killed by SIGKILL')
  })

  test('is not believed: an agent that is at work is left alone', async ({ db }) => {
    const { run, knock, launcher } = await running(db)
    expect((await knock()).status).toBe(202)
    expect(await saidOf(db, run.id)).toEqual(['run.started'])
    expect(launcher.stopped).toEqual([])
  })

  test.for([
    ['deadline', 'deadline_exceeded'],
    ['silence', 'agent_silent'],
  ] as const)('of one that its %s ended is the end of the run, with the reason', async ([cause, reason], { db }) => {
    const { run, knock, ended } = await running(db)
    ended({ end: 'it was ended', cause })
    await knock()
    expect(await states(db)).toEqual([`failed ${reason}`])
    expect(await saidOf(db, run.id)).toEqual(['run.started', 'run.failed'])
  })

  test('repeated, side by side, or about an older attempt, changes nothing more', async ({ db }) => {
    const { run, knock, ended, approve } = await running(db)
    ended()
    await Promise.all([knock(), knock(), knock()])
    expect(await saidOf(db, run.id)).toEqual(['run.started', 'run.lost'])
    await approve(run, EVENT_TYPES.runLost)
    expect((await knock()).status).toBe(202)
    expect(await states(db)).toEqual(['running'])
  })

  test('a result that was handed in just before wins', async ({ db }) => {
    const { knock, launcher, ended } = await running(db)
    ended()
    const { get } = launcher
    launcher.get = async (name) => {
      await db
        .updateTable('attempts')
        .set({ state: 'finished', result_digest: await emptyBlob(db) })
        .execute()
      await db
        .updateTable('runs')
        .set({ state: 'publishing', version: sql`version + 1` })
        .execute()
      return get(name)
    }
    expect((await knock()).status).toBe(202)
    expect(await states(db)).toEqual(['publishing'])
  })

  test('that comes while the start of its run is written down is heard all the same', async ({ db }) => {
    const { knock, launcher, ended } = await running(db)
    await db.updateTable('runs').set({ state: 'starting' }).execute()
    ended()
    const { get } = launcher
    let looks = 0
    launcher.get = async (name) => {
      looks += 1
      if (looks === 1)
        await db
          .updateTable('runs')
          .set({ state: 'running', version: sql`version + 1` })
          .execute()
      return get(name)
    }
    expect((await knock()).status).toBe(202)
    expect(looks).toBe(2)
    expect(await states(db)).toEqual(['queued'])
  })

  test.for(['run-a', 'run-', '..%2F..%2Fetc', `run-${'a'.repeat(27)}`, `run-${'A'.repeat(26)}`])(
    'about %s is refused',
    async (name, { db }) => {
      const { knock } = await running(db)
      expect((await knock(name)).status).toBe(400)
    },
  )

  test('about a Job that nobody knows changes nothing', async ({ db }) => {
    const { knock } = await running(db)
    expect((await knock(jobName('nobody', 1))).status).toBe(202)
    expect(await states(db)).toEqual(['running'])
  })
})

/** A result that says nothing, as a blob. */
async function emptyBlob(db: Db): Promise<string> {
  const digest = sha256('{}')
  await db
    .insertInto('blobs')
    .values({ digest, bytes: Buffer.from('{}') })
    .onConflict((same) => same.doNothing())
    .execute()
  return digest
}

describe('a stage with a gate', () => {
  const gate: Manifest['gate'] = {
    users: [],
    permission: 'write',
    quorum: 1,
    excludeRequester: true,
    expiresAfterSeconds: 3_600,
  }

  async function gated(db: Db, approval?: Partial<Row<'approvals'>>) {
    const run = await addRun(db, await addProject(db), { state: 'queued', manifest: { gate } })
    if (approval !== undefined)
      await db
        .insertInto('approvals')
        .values({
          run_id: run.id,
          bundle_digest: run.bundle_digest ?? '',
          state: 'approved',
          decided_at: new Date(),
          expires_at: sql<Date>`now() + interval '1 hour'`,
          ...approval,
          policy: JSON.stringify(gate),
        })
        .execute()
    return run
  }

  test('starts with an approval of exactly its bundle, which is used up with it', async ({ db }) => {
    const { approve, launcher } = dispatcher(db)
    const run = await gated(db, {})
    await approve(run)
    expect(launcher.created.map((job) => job.run)).toEqual([run.id])
    const approval = await db.selectFrom('approvals').selectAll().executeTakeFirstOrThrow()
    expect(approval).toMatchObject({ state: 'approved', consumed_at: expect.any(Date), version: 2 })
    expect(await saidOf(db, run.id)).toEqual(['approval.consumed', 'run.started'])
  })

  test.for<[name: string, approval: Partial<Row<'approvals'>> | undefined, reason: string]>([
    ['none at all', undefined, 'approval_missing'],
    ['one that nobody has given yet', { state: 'pending', decided_at: null }, 'approval_missing'],
    ['one that was denied', { state: 'denied' }, 'approval_missing'],
    ['one that was used', { consumed_at: new Date() }, 'approval_missing'],
    ['P-3: one of another content', { bundle_digest: 'other' }, 'approval_missing'],
    ['P-6: one that ran out', { expires_at: new Date(Date.now() - 61_000) }, 'approval_expired'],
  ])('is cancelled, and nothing starts, with %s', async ([, approval, reason], { db }) => {
    const { approve, launcher } = dispatcher(db)
    const other = await addRun(db, await addProject(db), { state: 'failed', columns: { reason: 'stopped' } })
    const own = approval?.bundle_digest === 'other' ? { bundle_digest: other.bundle_digest ?? '' } : {}
    const run = await gated(db, approval && { ...approval, ...own })
    await approve(run)
    expect(launcher.created).toEqual([])
    expect(await runNow(db, run.id)).toMatchObject({ state: 'cancelled', reason })
    expect(await db.selectFrom('attempts').selectAll().execute()).toEqual([])
  })

  test('P-6 given in time, it starts within a minute after the time is over', async ({ db }) => {
    const { approve, launcher } = dispatcher(db)
    await approve(await gated(db, { expires_at: new Date(Date.now() - 30_000) }))
    expect(launcher.created).toHaveLength(1)
  })

  test('a second attempt of a run that was lost goes on under the approval of the first', async ({ db }) => {
    const { approve, launcher } = dispatcher(db)
    const run = await gated(db, { consumed_at: new Date() })
    await addAttempt(db, run.id, { state: 'lost', finished_at: new Date() })
    await approve(run)
    expect(launcher.created.map(({ attempt }) => attempt)).toEqual([2])
  })
})
