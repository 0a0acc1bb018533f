import { expect } from 'vitest'
import type { Db } from '#shared/db/connect.ts'
import type { World } from './world.ts'

/** What has to be true of a world that has come to rest, by the ledgers of the forge and of the processes, not by our tables. */
export async function expectOnceAndOnlyOnce(world: World, db: Db, expected: { readonly runs: number }): Promise<void> {
  const pulls = await world.forgeLedger('pull.created')
  expect(pulls, 'pull requests at the forge').toHaveLength(expected.runs)
  const comments = await world.forgeLedger('comment.created')
  const removed = await world.forgeLedger('comment.deleted')
  expect(comments.length - removed.length, 'service comments at the forge').toBe(expected.runs)
  const jobs = world.jobLedger().map(({ run, attempt }) => `${run}/${attempt}`)
  expect(new Set(jobs).size, 'no attempt was started twice').toBe(jobs.length)
  expect(new Set(world.jobLedger().map(({ run }) => run)).size, 'runs that were started').toBe(expected.runs)
  await expectNothingLost(db)
}

/** accepted = done + pending + quarantined; the last query of every integration test. */
export async function expectNothingLost(db: Db): Promise<void> {
  const row = await db.selectFrom('accounting').selectAll().executeTakeFirstOrThrow()
  expect(row.done + row.pending + row.quarantined, 'accepted = done + pending + quarantined').toBe(row.accepted)
  expect(row).toMatchObject({ lost: 0, pending: 0, deliveries_pending: 0, unsent: 0 })
  const { audited } = await db.selectFrom('ledger').select(({ fn }) => fn.countAll<number>().as('audited')).executeTakeFirstOrThrow()
  const { written } = await db.selectFrom('outbox').select(({ fn }) => fn.countAll<number>().as('written')).executeTakeFirstOrThrow()
  expect(audited, 'every event is in the ledger').toBe(written)
}
