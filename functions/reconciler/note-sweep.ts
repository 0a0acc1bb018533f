import { sql } from 'kysely'
import type { Db } from '#shared/db/connect.ts'

/** Somebody sweeps: for whoever asks when that was last. */
export async function noteSweep(db: Db): Promise<void> {
  await db
    .insertInto('sweeps')
    .values({ last_at: sql`now()` })
    .onConflict((there) => there.column('one').doUpdateSet({ last_at: sql`now()` }))
    .execute()
}
