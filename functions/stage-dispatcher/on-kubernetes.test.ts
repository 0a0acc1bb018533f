import { describe, expect } from 'vitest'
import { sql } from 'kysely'
import type { Db } from '#shared/db/connect.ts'
import type { Row } from '#shared/db/schema.ts'
import { noRelay, post, quiet, sweep } from '#shared/edge/testing/post.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import { addProject, addRun, runNow, saidOf, say } from '#shared/run/testing/rows.ts'
import { create } from './app.ts'
import { jobName } from './job-name.ts'
import type { ApiServer } from './testing/api-server.ts'
import { startCluster } from './testing/kubernetes.ts'
import { died, jobStatus, podOf, waits } from './testing/statuses.ts'
import { test } from './testing/test.ts'

const namespaces = ['runs', 'team-a']

async function dispatcherOn(db: Db) {
  const cluster = await startCluster()
  const config = { tokenKey: 'a key of the test, long enough for anything', namespaces }
  const app = create(config, { db, relay: noRelay, log: quiet, launcher: cluster.launcher })
  const approve = async (run: Row<'runs'>) =>
    post(app, db, 'stage-dispatcher', await say(db, EVENT_TYPES.stageApproved, run))
  return { ...cluster, app, approve }
}

/** A run that is at work, as far as anybody knows. */
async function running(db: Db) {
  const own = await dispatcherOn(db)
  const run = await addRun(db, await addProject(db), { state: 'queued' })
  expect(await own.approve(run)).toMatchObject({ status: 202 })
  const changed = (subject: string) =>
    own.app.fetch(
      new Request('http://dispatcher/jobs/changed', {
        method: 'POST',
        headers: {
          'ce-specversion': '1.0',
          'ce-id': 'any',
          'ce-source': 'https://10.96.0.1:443',
          'ce-type': 'dev.knative.apiserver.ref.update',
          'ce-subject': subject,
          'content-type': 'application/json',
        },
        body: '{"kind":"Job","status":"Failed","name":"what it likes"}',
      }),
    )
  const name = jobName(run.id, 1)
  return { ...own, run, name, changed, hint: () => changed(`/apis/batch/v1/namespaces/runs/jobs/${name}`) }
}

const later = (db: Db, seconds: number) =>
  db
    .updateTable('attempts')
    .set({ last_seen_at: sql<Date>`now() - make_interval(secs => ${seconds})` })
    .execute()

const now = async (db: Db, run: Row<'runs'>) => {
  const { state, reason } = await runNow(db, run.id)
  return reason === null ? state : `${state} ${reason}`
}

const placed = (server: ApiServer) =>
  server.effects.filter(({ kind }) => kind === 'Job').map(({ namespace }) => namespace)

describe('the namespace of a run', () => {
  test.for([
    ['the first, where the project does not say', {}, 'runs'],
    ['what the project says', { runNamespace: 'team-a' }, 'team-a'],
  ] as const)('is %s, and is found there whatever the setting says later', async ([, settings, namespace], { db }) => {
    const { approve, app, server } = await dispatcherOn(db)
    const run = await addRun(db, await addProject(db, { settings }), { state: 'queued' })
    await approve(run)
    expect(placed(server)).toEqual([namespace])
    expect(await db.selectFrom('intents').select('namespace').execute()).toEqual([{ namespace }])
    await db.updateTable('projects').set({ settings: '{"runNamespace":"elsewhere"}' }).execute()
    await db.updateTable('runs').set({ state: 'cancelled', reason: 'label_removed' }).execute()
    await sweep(app)
    expect(server.requests.at(-1)).toBe(`DELETE /apis/batch/v1/namespaces/${namespace}/jobs/${jobName(run.id, 1)}`)
  })

  test.for(['kube-system', '', 7, { a: 1 }])(
    '%j, which the installation does not have, is a reason',
    async (wanted, { db }) => {
      const { approve, server } = await dispatcherOn(db)
      const run = await addRun(db, await addProject(db, { settings: { runNamespace: wanted } }), { state: 'queued' })
      expect(await approve(run)).toMatchObject({ status: 202, state: 'done' })
      expect(await now(db, run)).toBe('failed run_namespace_unknown')
      expect(server.requests).toEqual([])
    },
  )
})

describe('what happens to a Job on a cluster ends its run for a reason', () => {
  test.for([
    ['F21 its deadline', jobStatus('Failed', 'DeadlineExceeded'), [], 0, 'failed deadline_exceeded'],
    [
      'F21 out of memory',
      jobStatus('Failed', 'BackoffLimitExceeded'),
      [podOf('Failed', { agent: died(137, 'OOMKilled') })],
      0,
      'failed out_of_memory',
    ],
    ['J9 out of disk', {}, [podOf('Failed', { reason: 'Evicted' })], 0, 'failed out_of_storage'],
    ['F21 no such image', {}, [podOf('Pending', { agent: waits('ErrImagePull') })], 120, 'failed image_unusable'],
    ['F21 an image not yet had', {}, [podOf('Pending', { agent: waits('ErrImagePull') })], 60, 'running'],
    [
      'F21 no image by that name',
      {},
      [podOf('Pending', { agent: waits('InvalidImageName') })],
      0,
      'failed image_unusable',
    ],
    [
      'F21 no machine has room',
      {},
      [podOf('Pending', { conditions: [['PodScheduled', 'False', 'Unschedulable']] })],
      240,
      'failed no_room',
    ],
    [
      'F21 no machine has room yet',
      {},
      [podOf('Pending', { conditions: [['PodScheduled', 'False', 'Unschedulable']] })],
      180,
      'running',
    ],
    ['F11 no pod is let in', {}, [], 240, 'failed no_room'],
  ] as const)('%s: by the sweep, with no word from anybody', async ([, status, pods, seconds, end], { db }) => {
    const { app, server, run, name } = await running(db)
    server.report(name, status, [...pods])
    await later(db, seconds)
    expect((await sweep(app)).status).toBe(200)
    expect(await now(db, run)).toBe(end)
    expect(placed(server).length).toBeLessThanOrEqual(2)
  })

  test.for([
    ['F19 evicted', jobStatus('Failed', 'PodFailurePolicy'), []],
    [
      'F20 its machine does not answer',
      {},
      [
        podOf('Running', {
          leaving: true,
          conditions: [['DisruptionTarget', 'True', 'DeletionByTaintManager']],
          agent: { running: {} },
        }),
      ],
    ],
  ] as const)('%s: another attempt with a larger fence, and no more than two', async ([, status, pods], { db }) => {
    const { app, approve, server, run, name, hint } = await running(db)
    server.report(name, status, [...pods])
    expect((await hint()).status).toBe(202)
    expect(await saidOf(db, run.id)).toEqual(['run.started', 'run.lost'])
    await approve(run)
    const attempts = await db.selectFrom('attempts').select(['state', 'fence']).orderBy('attempt').execute()
    expect(attempts.map(({ state }) => state)).toEqual(['lost', 'created'])
    expect(attempts[1]?.fence).toBeGreaterThan(attempts[0]?.fence ?? Infinity)
    expect(server.effects.filter(({ kind, verb }) => kind === 'Job' && verb === 'create')).toHaveLength(2)
    server.report(jobName(run.id, 2), status, [...pods])
    await sweep(app)
    expect(await now(db, run)).toBe('failed agent_lost')
    await sweep(app)
    expect(server.effects.filter(({ kind, verb }) => kind === 'Job' && verb === 'create')).toHaveLength(2)
  })

  test('F10 C10 created once and now gone: lost, and that Job is never made again', async ({ db }) => {
    const { app, server, run, name } = await running(db)
    server.jobs.clear()
    await sweep(app)
    const made = server.effects
      .filter(({ kind, verb }) => kind === 'Job' && verb === 'create')
      .map((effect) => effect.name)
    expect(made).toEqual([name, jobName(run.id, 2)])
  })
})

test('F11 a quota without room is told once, and the run starts when there is room', async ({ db }) => {
  const { app, approve, server, run, pass } = await held(db)
  expect(await now(db, run)).toBe('starting')
  expect(await saidOf(db, run.id)).toEqual(['run.queued'])
  expect(await approve(run)).toMatchObject({ status: 503 })
  expect(await saidOf(db, run.id)).toEqual(['run.queued'])
  const reasons = () => db.selectFrom('attempts').select(['state', 'reason']).execute()
  expect(await reasons()).toEqual([{ state: 'intended', reason: 'the quota of its run namespace is used up' }])
  pass(60)
  expect((await sweep(app)).status).toBe(200)
  expect(await now(db, run)).toBe('running')
  expect(await reasons()).toEqual([{ state: 'created', reason: null }])
  expect(server.requests.filter((request) => /^POST .*jobs$/.test(request))).toHaveLength(2)
})

async function held(db: Db) {
  const own = await dispatcherOn(db)
  own.server.faults.push({ kind: 'status', status: 403, message: 'exceeded quota: runs' })
  const run = await addRun(db, await addProject(db), { state: 'queued' })
  expect(await own.approve(run)).toMatchObject({ status: 503, state: 'pending' })
  return { ...own, run }
}

test('an attempt whose time is over ends also while the API server is away', async ({ db }) => {
  const { app, server, run } = await running(db)
  await db
    .updateTable('attempts')
    .set({ deadline_at: sql<Date>`now() - interval '1 second'` })
    .execute()
  server.faults.push(
    { kind: 'reset', applied: false },
    { kind: 'reset', applied: false },
    { kind: 'reset', applied: false },
  )
  await sweep(app)
  expect(await now(db, run)).toBe('failed deadline_exceeded')
  server.faults.length = 0
  await sweep(app)
  expect(server.jobs.size).toBe(0)
})

describe('F12 events about Jobs are hints', () => {
  test('one that is true is acted on at once', async ({ db }) => {
    const { server, run, name, hint } = await running(db)
    server.report(name, jobStatus('Failed', 'DeadlineExceeded'))
    expect((await hint()).status).toBe(202)
    expect(await now(db, run)).toBe('failed deadline_exceeded')
  })

  test('one that is missed costs a sweep', async ({ db }) => {
    const { app, server, run, name } = await running(db)
    server.report(name, jobStatus('Failed', 'DeadlineExceeded'))
    await sweep(app)
    expect(await now(db, run)).toBe('failed deadline_exceeded')
  })

  test('one that is made up changes nothing: the Job is looked at', async ({ db }) => {
    const { server, run, name, hint } = await running(db)
    server.report(name, {}, [podOf('Running', { agent: { running: {} } })])
    expect((await hint()).status).toBe(202)
    expect(await now(db, run)).toBe('running')
    expect(server.effects.filter(({ verb }) => verb === 'delete')).toEqual([])
  })

  test.for([
    '/apis/batch/v1/namespaces/runs/jobs/somebody-elses',
    `/apis/batch/v1/namespaces/runs/jobs/${jobName('nobody', 1)}`,
    '/api/v1/namespaces/runs/pods/x',
    '/',
  ])('one about %j is none of ours', async (subject, { db }) => {
    const { server, run, changed } = await running(db)
    const before = server.requests.length
    expect((await changed(subject)).status).toBe(202)
    expect(await now(db, run)).toBe('running')
    expect(server.requests).toHaveLength(before)
  })

  test('what is no event is refused', async ({ db }) => {
    const { app } = await dispatcherOn(db)
    const answer = await app.fetch(new Request('http://dispatcher/jobs/changed', { method: 'POST', body: '{}' }))
    expect(answer.status).toBe(422)
  })
})
