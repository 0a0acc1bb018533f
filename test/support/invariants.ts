import { randomUUID } from 'node:crypto'
import { CompiledQuery } from 'kysely'
import { expect } from 'vitest'
import { diff, rebuild, type Database } from '../../functions/audit-sink/rebuild.ts'
import type { Db } from '#shared/db/connect.ts'
import type { World } from './world.ts'

/** What has to be true of a world that has come to rest, by the ledgers of the forge and of the processes, not by our tables. */
export async function expectOnceAndOnlyOnce(
  world: World,
  db: Db,
  expected: { readonly runs: number; readonly failed?: number },
): Promise<void> {
  const { runs: published, failed = 0 } = expected
  const pulls = await world.forgeLedger('pull.created')
  expect(pulls, 'pull requests at the forge').toHaveLength(published)
  const comments = await world.forgeLedger('comment.created')
  const removed = await world.forgeLedger('comment.deleted')
  expect(comments.length - removed.length, 'service comments at the forge').toBe(published + failed)
  const jobs = world.jobLedger().map(({ run, attempt }) => `${run}/${attempt}`)
  expect(new Set(jobs).size, 'no attempt was started twice').toBe(jobs.length)
  expect(new Set(world.jobLedger().map(({ run }) => run)).size, 'runs that were started').toBe(published + failed)
  const runs = await db.selectFrom('runs').select('state').where('state', '!=', 'refused').execute()
  expect(runs.map(({ state }) => state).toSorted(), 'ends of the runs').toEqual([
    ...Array<string>(failed).fill('failed'),
    ...Array<string>(published).fill('succeeded'),
  ])
  await expectSentIsAccepted(world, db)
  await expectNothingLost(db)
}

/** What the outbox counts as sent, the broker has accepted: a row that is marked is not looked at by any relay again. */
export async function expectSentIsAccepted({ broker }: World, db: Db): Promise<void> {
  const accepted = new Set(broker.ledger.entries.filter(({ kind }) => kind === 'accepted').map(({ id }) => id))
  const sent = await db.selectFrom('outbox').select(['event_id', 'type']).where('sent_at', 'is not', null).execute()
  expect(
    sent.filter(({ event_id }) => !accepted.has(event_id)),
    'marked as sent and never accepted',
  ).toEqual([])
}

/** accepted = done + pending + quarantined; the last query of every integration test. */
export async function expectNothingLost(db: Db): Promise<void> {
  const row = await db.selectFrom('accounting').selectAll().executeTakeFirstOrThrow()
  expect(row.done + row.pending + row.quarantined, 'accepted = done + pending + quarantined').toBe(row.accepted)
  expect(row).toMatchObject({ lost: 0, pending: 0, deliveries_pending: 0, unsent: 0 })
  const { audited } = await db
    .selectFrom('ledger')
    .select(({ fn }) => fn.countAll<number>().as('audited'))
    .executeTakeFirstOrThrow()
  const { written } = await db
    .selectFrom('outbox')
    .select(({ fn }) => fn.countAll<number>().as('written'))
    .executeTakeFirstOrThrow()
  expect(audited, 'every event is in the ledger').toBe(written)
  await expectRebuilt(db)
}

/** What the ledger says is what is there: a change without a record is found here. */
export async function expectRebuilt(db: Db): Promise<void> {
  const schema = `rebuilt_${randomUUID()}`
  const differences = await rawQueries(db, async (database) => {
    await rebuild(database, schema)
    const found = await diff(database, schema)
    await database.query(`drop schema "${schema}" cascade`)
    return found
  })
  expect(differences, 'rows that are not what the ledger says').toEqual([])
}

/** One connection of the pool, as the commands that read the ledger have one. */
export function rawQueries<T>(db: Db, work: (database: Database) => Promise<T>): Promise<T> {
  return db
    .connection()
    .execute((connection) =>
      work({ query: async (text, values = []) => connection.executeQuery(CompiledQuery.raw(text, values)) }),
    )
}
