import { sql } from 'kysely'
import type { Broker } from '../../deploy/local/broker/broker.ts'
import type { Db } from '#shared/db/connect.ts'
import { eventually } from './wait.ts'
import type { WorldForge } from './world-forge.ts'

/** As if the time of every lease had passed: what a killed process held is free again. */
export async function expireLeases(db: Db): Promise<void> {
  await db
    .updateTable('outbox')
    .set({ lease_until: sql`now() - interval '1 ms'` })
    .where('lease', 'is not', null)
    .execute()
  await db
    .updateTable('comments')
    .set({ lease_until: sql`now() - interval '1 ms'` })
    .where('lease', 'is not', null)
    .execute()
  await db
    .updateTable('model_calls')
    .set({ expires_at: sql`now() - interval '1 ms'` })
    .where('state', '=', 'reserved')
    .execute()
}

/** What has to be still. */
interface Moving {
  readonly db: Db
  readonly broker: Broker
  readonly forge: WorldForge
  sweep(): Promise<void>
}

/** Lets the reconciler run until nothing is pending and no run is active; the broker holds nothing. */
export async function comeToRest({ db, broker, forge, sweep }: Moving): Promise<void> {
  // Twice in a row: what ends a run may set off a webhook after its own delivery was looked at.
  let quiet = 0
  await eventually(
    async () => {
      await sweep()
      await broker.idle()
      const pending = await forge.pending()
      const accounting = await db.selectFrom('accounting').selectAll().executeTakeFirstOrThrow()
      const active = await db
        .selectFrom('runs')
        .select('state')
        .where('state', 'not in', ['refused', 'succeeded', 'failed', 'cancelled'])
        .execute()
      const behind = await db.selectFrom('comments').select('run_id').whereRef('wanted', '>', 'done').execute()
      const held = pending + accounting.deliveries_pending + accounting.unsent + active.length + behind.length
      quiet = held === 0 ? quiet + 1 : 0
      if (held === 0) return quiet === 2
      throw new Error(JSON.stringify({ pending, accounting, active, behind: behind.length }))
    },
    { what: 'everything to be done', timeoutMs: 60_000, everyMs: 50 },
  )
}
