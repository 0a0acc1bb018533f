import { expect } from 'vitest'
import { sql } from 'kysely'
import { transaction } from '#shared/db/transaction.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import { emit } from '#shared/outbox/write.ts'
import { runEvent } from '#shared/run/run-event.ts'
import { test } from '../support/database.ts'
import { expectOnceAndOnlyOnce } from '../support/invariants.ts'
import { endOf } from '../support/processes.ts'
import { eventually } from '../support/wait.ts'
import { startWorld } from '../support/world.ts'

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
