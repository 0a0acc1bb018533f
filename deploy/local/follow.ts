import { setTimeout as sleep } from 'node:timers/promises'
import type { Db } from '#shared/db/connect.ts'
import type { Row } from '#shared/db/schema.ts'
import type { Demo } from './demo.ts'

/** Longest wait for a run, milliseconds: with a real model an agent may think for long. */
const LONGEST_MS = 3_600_000

/**
 * Waits until the demonstration's run, another one than `before`, is over and its comment shows it. Throws when nothing came
 * of the label or the review within a minute.
 */
export async function eventuallyOver(db: Db, demo: Demo, before?: Row<'runs'>): Promise<Row<'runs'>> {
  const began = performance.now()
  for (;;) {
    const row = await db
      .selectFrom('runs')
      .innerJoin('projects', 'projects.id', 'runs.project_id')
      .leftJoin('comments', 'comments.run_id', 'runs.id')
      .selectAll('runs')
      .select(['comments.wanted', 'comments.done'])
      .where('projects.full_name', '=', demo.repository)
      .where('projects.state', '=', 'connected')
      .$if(before !== undefined, (query) => query.where('runs.id', '!=', before?.id ?? ''))
      .orderBy('runs.created_at')
      .executeTakeFirst()
    const waited = performance.now() - began
    if (
      row !== undefined &&
      ['refused', 'succeeded', 'failed', 'cancelled'].includes(row.state) &&
      row.wanted === row.done
    )
      return row
    if (row === undefined && waited > 60_000)
      throw new Error(
        `nothing came of the ${before === undefined ? 'label' : 'review'} within a minute: start with --verbose to see why`,
      )
    if (waited > LONGEST_MS) throw new Error(`the run is still ${row?.state} after an hour`)
    await sleep(50)
  }
}
