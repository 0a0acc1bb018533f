import { sql } from 'kysely'
import { expect } from 'vitest'
import { test } from '../support/database.ts'
import { waitingRun } from '../support/gated-run.ts'
import { expectNothingLost, expectOnceAndOnlyOnce } from '../support/invariants.ts'
import { eventually } from '../support/wait.ts'

test('L4 a label of somebody who may not approve goes again and is told; one of somebody who may lets the run go on', async ({
  db,
  databaseUrl,
}) => {
  const { world, issue, approval, settled, comments, labels } = await waitingRun({ db, databaseUrl })
  const [shown = ''] = await comments()
  expect(shown).toContain(`/approve ${approval.bundle_digest.slice(0, 12)}`)
  const { approval_shown_at: shownAt } = await db.selectFrom('comments').selectAll().executeTakeFirstOrThrow()
  expect(shownAt).toBeInstanceOf(Date)
  // As if the comment had been there for a while.
  await db
    .updateTable('comments')
    .set({ approval_shown_at: sql`approval_shown_at - interval '1 minute'` })
    .execute()

  await world.label(issue, 'approve:dev', 'theo-token')
  await eventually(
    async () => {
      await settled('the refused label to be told')
      return (await comments())[0]?.includes('Not counted: `theo` may not decide about this stage')
    },
    { what: 'the comment' },
  )
  expect(await labels()).toEqual(['run:dev'])
  const run = await db.selectFrom('runs').selectAll().executeTakeFirstOrThrow()
  expect(run.state).toBe('waiting_approval')

  // It waited for long: who asked is judged again before it starts.
  await db
    .updateTable('runs')
    .set({ judged_at: sql`now() - interval '10 minutes'` })
    .execute()
  await world.label(issue, 'approve:dev', 'walt-token')
  await world.drain()
  expect((await comments())[0]).toContain('Approved by @walt.')
  expect(await labels()).toEqual(['state:in-review'])
  await expectOnceAndOnlyOnce(world, db, { runs: 1 })
})

test('a comment that denies ends the wait, and the comment says who and why', async ({ db, databaseUrl }) => {
  const { world, issue, comments, labels } = await waitingRun({ db, databaseUrl })
  const path = `/repos/maria/shop/issues/${issue}/comments`
  await world.person('POST', path, { body: '/deny not before `the` release' }, 'walt-token')
  await world.drain()
  const [shown = ''] = await comments()
  expect(shown).toContain('Denied by @walt.')
  expect(shown).toContain('Details: `not before  the  release`')
  expect(await labels()).toEqual([])
  expect(world.jobLedger()).toEqual([])
  await expectNothingLost(db)
})
