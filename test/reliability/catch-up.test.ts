import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import type { Db } from '#shared/db/connect.ts'
import { test } from '../support/database.ts'
import { pauseHooks } from '../support/deliveries.ts'
import { expectOnceAndOnlyOnce } from '../support/invariants.ts'
import { endOf } from '../support/processes.ts'
import { eventually } from '../support/wait.ts'
import { startWorld, type World } from '../support/world.ts'

/** As if the next look at the forge were due. */
async function due(db: Db, how: 'list' | 'labels'): Promise<void> {
  if (how === 'list') {
    await sql`update hook_checks set next_check_at = now() - interval '1 ms'`.execute(db)
    await sql`update redeliveries set due_at = now() - interval '1 ms'`.execute(db)
    return
  }
  await sql`delete from hook_checks`.execute(db)
  await sql`insert into label_scans (project_id, next_scan_at, scanned_until)
    select id, now(), created_at from projects
    on conflict (project_id) do update set next_scan_at = now() - interval '1 ms'`.execute(db)
}

/** A label that the forge could not tell us of. */
async function labelUnheard(world: World): Promise<void> {
  await world.drain()
  await pauseHooks(world, true)
  await world.label(await world.issue())
  await eventually(
    async () => ((await (await fetch(`${world.forgeUrl}/_forge/idle`)).json()) as { pending: number }).pending === 0,
    { what: 'the deliveries to fail' },
  )
  await pauseHooks(world, false)
}

describe('C16 a process that is killed while it catches up', () => {
  test.for([
    ['catch-up.before-page-commit', 'list'],
    ['catch-up.after-page', 'list'],
    ['catch-up.before-redelivery', 'list'],
    ['catch-up.before-scan-commit', 'labels'],
    ['catch-up.after-scan-page', 'labels'],
  ] as const)(
    '%s: the watermark has not moved past it, and it is done once',
    async ([crashPoint, how], { db, databaseUrl }) => {
      const world = await startWorld({ db, databaseUrl, crashPoint })
      await labelUnheard(world)
      await due(db, how)
      await world.arm()
      const sweeping = world.sweep().catch(() => {})
      expect(await endOf(world.functions())).toMatchObject({ signal: 'SIGKILL' })
      await sweeping
      await world.restart()
      await world.expireLeases()
      await due(db, how)
      await world.drain()
      await expectOnceAndOnlyOnce(world, db, { runs: 1 })

      // Once more over the same hour: nothing comes of it.
      const events = (await world.forgeLedger('delivery')).length
      await due(db, how)
      await world.drain()
      expect((await world.forgeLedger('delivery')).length).toBe(events)
      await expectOnceAndOnlyOnce(world, db, { runs: 1 })
      const found = await db.selectFrom('outbox').select('id').where('type', 'like', '%label.found%').execute()
      expect(found).toHaveLength(how === 'labels' ? 1 : 0)
      expect(await db.selectFrom('redeliveries').selectAll().execute()).toEqual([])
    },
  )
})
