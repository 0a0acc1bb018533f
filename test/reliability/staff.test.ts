import { describe, expect, onTestFinished } from 'vitest'
import { startTokenReviews } from '../../deploy/local/token-review.ts'
import type { Db } from '#shared/db/connect.ts'
import { transaction } from '#shared/db/transaction.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import { emit, type Emission } from '#shared/outbox/write.ts'
import { endRun } from '#shared/run/transition.ts'
import { test } from '../support/database.ts'
import { redeliverFailed } from '../support/deliveries.ts'
import { waitingRun } from '../support/gated-run.ts'
import { expectNothingLost } from '../support/invariants.ts'
import { endOf } from '../support/processes.ts'
import { eventually } from '../support/wait.ts'
import { startWorld, type World } from '../support/world.ts'

const TOKEN = 'token-of-root-0123456789abcdef'

async function staffOf() {
  const reviews = await startTokenReviews({ [TOKEN]: { user: 'root' } })
  onTestFinished(() => reviews.close())
  return { kubernetesUrl: reviews.url, admins: ['user:root'] }
}

/** What the API answers; undefined when the process died on the way. */
async function ask(world: World, method: string, path: string, body?: object) {
  const response = await fetch(world.url('staff-api') + path, {
    method,
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    body: body === undefined ? null : JSON.stringify(body),
  }).catch(() => undefined)
  return response && { status: response.status, json: (await response.json()) as Record<string, unknown> }
}

/** Asks, dies at the point that is armed, is started again and asks the same once more. */
async function askThroughCrash(world: World, method: string, path: string, body?: object) {
  expect(await ask(world, method, path, body)).toBeUndefined()
  expect(await endOf(world.functions())).toMatchObject({ signal: 'SIGKILL' })
  await world.restart()
  await world.expireLeases()
  await redeliverFailed(world)
  const answer = await ask(world, method, path, body)
  expect(answer?.status).toBe(200)
  await world.drain()
  return answer?.json ?? {}
}

async function acts(db: Db): Promise<unknown[]> {
  const rows = await db.selectFrom('outbox').select('event').where('type', '=', EVENT_TYPES.staffActed).execute()
  return rows.map(({ event }) => event['data'])
}

/** A run that failed before its Job was made, as the forge and everybody else has heard by now. */
async function failedRun(world: World, db: Db): Promise<string> {
  await world.drain()
  world.broker.pause()
  await world.label(await world.issue())
  const run = await eventually(
    async () => {
      await fetch(`${world.url('label-router')}/sweep?grace=0`, { method: 'POST' })
      return db.selectFrom('runs').select('id').executeTakeFirst()
    },
    { what: 'the run' },
  )
  if (run === undefined) throw new Error('no run')
  await transaction(db, (tx) =>
    endRun({ tx, emit: async (emission: Emission) => void (await emit(tx, 'stage-dispatcher', emission)) }, run.id, {
      state: 'failed',
      type: EVENT_TYPES.runFailed,
      reason: 'agent_lost',
    }),
  )
  world.broker.resume()
  await world.drain()
  return run.id
}

describe('C6 the staff API is killed and asked again', () => {
  test.for(['staff.before-cancel-commit', 'staff.after-cancel-commit'])(
    '%s: the run is cancelled once',
    async (crashPoint, { db, databaseUrl }) => {
      const { world, approval } = await waitingRun({ db, databaseUrl, crashPoint, staff: await staffOf() })
      await askThroughCrash(world, 'POST', `/v1/runs/${approval.run_id}/cancel`)
      const runs = await db.selectFrom('runs').select(['state', 'reason']).execute()
      expect(runs).toEqual([{ state: 'cancelled', reason: 'cancelled_by_staff' }])
      expect(await db.selectFrom('approvals').select('state').execute()).toEqual([{ state: 'withdrawn' }])
      expect(await acts(db)).toHaveLength(1)
      await expectNothingLost(db)
    },
  )

  test.for(['staff.before-retry-commit', 'staff.after-retry-commit'])(
    '%s: a failed run is retried once, and its label being off is no reason against it',
    async (crashPoint, { db, databaseUrl }) => {
      const world = await startWorld({ db, databaseUrl, crashPoint, staff: await staffOf() })
      const failed = await failedRun(world, db)
      await world.arm()
      await askThroughCrash(world, 'POST', `/v1/runs/${failed}/retry`)
      const runs = await db.selectFrom('runs').select(['state', 'label_event_id']).orderBy('created_at').execute()
      expect(runs).toEqual([
        { state: 'failed', label_event_id: expect.stringMatching(/^\d+$/) },
        { state: 'succeeded', label_event_id: `retry:${failed}` },
      ])
      expect(await world.forgeLedger('pull.created')).toHaveLength(1)
      expect(world.jobLedger()).toHaveLength(1)
      expect(await acts(db)).toHaveLength(1)
      await expectNothingLost(db)
    },
  )

  test.for(['redrive.before-commit', 'redrive.after-commit'])(
    '%s: a delivery is put back and handled at once, once',
    async (crashPoint, { db, databaseUrl }) => {
      const world = await startWorld({ db, databaseUrl, crashPoint, staff: await staffOf() })
      await world.label(await world.issue())
      await world.drain()
      const { id } = await db
        .selectFrom('outbox')
        .select('id')
        .where('type', '=', 'com.github.issues.labeled')
        // The first is the person's; what comes after it are labels of our own, which wake no router.
        .orderBy('seq')
        .executeTakeFirstOrThrow()
      await db
        .updateTable('deliveries')
        .set({ state: 'quarantined', outcome: 'set aside by the test' })
        .where('outbox_id', '=', id)
        .where('consumer', '=', 'label-router')
        .execute()
      await world.arm()
      await askThroughCrash(world, 'POST', `/v1/events/${id}/redrive`)
      const { event } = await db
        .selectFrom('outbox')
        .select('event')
        .where('type', '=', EVENT_TYPES.deliveryRedriven)
        .executeTakeFirstOrThrow()
      expect(event['data']).toEqual({ outbox: id, consumer: 'label-router', by: 'root' })
      expect(await world.forgeLedger('pull.created')).toHaveLength(1)
      await expectNothingLost(db)
    },
  )

  const grant = ['POST', '/v1/grants', { kind: 'group', name: 'operators', role: 'operator' }] as const
  const project = ['POST', '/v1/projects', { repository: 'maria/tools' }] as const
  const removal = ['DELETE', '/v1/projects/{project}', undefined] as const
  test.for([
    { point: 'staff.before-grant-commit', request: grant },
    { point: 'staff.after-grant-commit', request: grant },
    { point: 'staff.before-project-commit', request: project },
    { point: 'staff.after-project-commit', request: project },
    { point: 'staff.before-removal-commit', request: removal },
    { point: 'staff.after-removal-commit', request: removal },
  ])('$point: it is done once', async ({ point: crashPoint, request }, { db, databaseUrl }) => {
    const repository = (name: string) => ({ owner: 'maria', name, files: { 'README.md': '# it\n' } })
    const seed = { repos: [repository('shop'), repository('tools')] }
    const world = await startWorld({ db, databaseUrl, crashPoint, seed, staff: await staffOf() })
    await world.drain()
    await world.arm()
    const [method, path, body] = request
    await askThroughCrash(world, method, path.replace('{project}', world.projectId), body)
    expect(await acts(db)).toHaveLength(1)
    expect(await db.selectFrom('projects').select('id').execute()).toHaveLength(path === '/v1/projects' ? 2 : 1)
    expect(await db.selectFrom('hooks').select('id').execute()).toHaveLength(path === '/v1/projects' ? 2 : 1)
    await expectNothingLost(db)
  })
})

test('a ping goes from the forge through the gateway to the ledger', async ({ db, databaseUrl }) => {
  const world = await startWorld({ db, databaseUrl, staff: await staffOf() })
  await world.drain()
  const path = `/v1/projects/${world.projectId}/ping`
  const asked = await ask(world, 'POST', path)
  expect(asked?.status).toBe(200)
  const since = encodeURIComponent(String(asked?.json['askedAt']))
  await eventually(async () => (await ask(world, 'GET', `${path}?since=${since}`))?.json['state'] === 'in_ledger', {
    what: 'the ping in the ledger',
  })
  const checks = await ask(world, 'GET', '/v1/checks')
  const found = checks?.json['checks'] as { name: string; status: string }[]
  expect(found.filter(({ status }) => status !== 'ok')).toEqual([])
  await world.drain()
  await expectNothingLost(db)
})
