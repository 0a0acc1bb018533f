import { expect } from 'vitest'
import { sql } from 'kysely'
import type { Db } from '#shared/db/connect.ts'
import { transaction } from '#shared/db/transaction.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import { emit } from '#shared/outbox/write.ts'
import { runEvent } from '#shared/run/run-event.ts'
import { test } from '../support/database.ts'
import { redeliverFailed } from '../support/deliveries.ts'
import { expectNothingLost, expectOnceAndOnlyOnce } from '../support/invariants.ts'
import { waitingRun } from '../support/gated-run.ts'
import { endOf } from '../support/processes.ts'
import { eventually } from '../support/wait.ts'
import { startWorld, type World } from '../support/world.ts'

test('C14 (as far as a gate decides by itself): killed after it has let a run pass and before it answers, it lets it pass once', async ({
  db,
  databaseUrl,
}) => {
  const world = await startWorld({ db, databaseUrl, crashPoint: 'handle.after-commit approval-gate' })
  await world.drain()
  await world.arm()
  world.broker.pause()
  await world.label(await world.issue())
  await eventually(
    async () => {
      await fetch(`${world.url('label-router')}/sweep?grace=0`, { method: 'POST' })
      return db.selectFrom('runs').select('id').executeTakeFirst()
    },
    { what: 'the run' },
  )
  // As the router would have left a run of a stage with a gate.
  await transaction(db, async (tx) => {
    const run = await tx
      .updateTable('runs')
      .set({ state: 'waiting_approval', version: sql`version + 1` })
      .returningAll()
      .executeTakeFirstOrThrow()
    await tx
      .updateTable('deliveries')
      .set({ state: 'done', outcome: 'replaced by the test', settled_at: sql`now()` })
      .where('consumer', '!=', 'audit-sink')
      .where('state', '=', 'pending')
      .execute()
    await emit(tx, 'label-router', runEvent(EVENT_TYPES.stageRequested, run, { rows: { runs: [run] } }))
  })
  world.broker.resume()
  await world.sweep().catch(() => {})
  expect(await endOf(world.functions())).toMatchObject({ signal: 'SIGKILL' })
  await world.restart()
  await world.expireLeases()
  await world.drain()

  const passed = await db
    .selectFrom('outbox')
    .select('id')
    .where('producer', '=', 'approval-gate')
    .where('type', '=', EVENT_TYPES.stageApproved)
    .execute()
  expect(passed).toHaveLength(1)
  await expectOnceAndOnlyOnce(world, db, { runs: 1 })
})

async function recover(world: World): Promise<void> {
  expect(await endOf(world.functions())).toMatchObject({ signal: 'SIGKILL' })
  await world.restart()
  await world.expireLeases()
  await redeliverFailed(world)
}

const approvedOnce = async (db: Db) => {
  const approvals = await db.selectFrom('approvals').selectAll().execute()
  expect(approvals).toMatchObject([{ state: 'approved', consumed_at: expect.any(Date) }])
  const counted = await db.selectFrom('decisions').selectAll().where('refusal', 'is', null).execute()
  expect(counted).toHaveLength(1)
  const types = await db.selectFrom('outbox').select('type').where('type', 'like', '%.approv%').orderBy('seq').execute()
  const own = types.map(({ type }) => type.replace('dev.codex-k8s.', ''))
  expect(own).toEqual(['approval.requested.v1', 'stage.approved.v1', 'approval.consumed.v1'])
}

test.for(['gate.before-decision-commit', 'gate.after-decision-commit', 'gate.before-answer'])(
  'C14 killed at %s: the same command again has the same answer, and decides once',
  async (crashPoint, { db, databaseUrl }) => {
    const { world, decide } = await waitingRun({ db, databaseUrl, crashPoint })
    await expect(decide()).rejects.toThrow('fetch failed')
    await recover(world)
    const answer = await decide()
    expect([answer.status, await answer.json()]).toMatchObject([200, { state: 'approved', approvals: 1 }])
    await world.drain()
    await approvedOnce(db)
    await expectOnceAndOnlyOnce(world, db, { runs: 1 })
  },
)

test.for([
  'handle.before-commit approval-gate',
  'handle.after-commit approval-gate',
  'dispatcher.before-intent-commit',
  'dispatcher.after-intent',
])(
  'C14 killed at %s: a comment approves once, and one run starts under it',
  async (crashPoint, { db, databaseUrl }) => {
    const { world, issue, approval } = await waitingRun({ db, databaseUrl, crashPoint })
    const body = `/approve ${approval.bundle_digest.slice(0, 12)}`
    const comment = await world.person<{ id: number }>(
      'POST',
      `/repos/maria/shop/issues/${issue}/comments`,
      { body },
      'walt-token',
    )
    await recover(world)
    await world.drain()
    await approvedOnce(db)
    // Only ours are counted.
    await world.person('DELETE', `/repos/maria/shop/issues/comments/${comment.id}`, undefined, 'walt-token')
    await world.drain()
    await expectOnceAndOnlyOnce(world, db, { runs: 1 })
  },
)

test('killed at gate.before-expiry-commit: a wait that is over ends once', async ({ db, databaseUrl }) => {
  const { world } = await waitingRun({ db, databaseUrl, crashPoint: 'gate.before-expiry-commit' })
  await db
    .updateTable('approvals')
    .set({ expires_at: sql`now() - interval '1 second'` })
    .execute()
  await world.sweep().catch(() => {})
  await recover(world)
  await world.drain()
  const run = await db.selectFrom('runs').selectAll().executeTakeFirstOrThrow()
  expect(run).toMatchObject({ state: 'cancelled', reason: 'approval_expired' })
  const ended = await db
    .selectFrom('outbox')
    .select('type')
    .where('type', 'in', [EVENT_TYPES.approvalExpired, EVENT_TYPES.runCancelled])
    .execute()
  expect(ended).toHaveLength(2)
  await expectNothingLost(db)
})
