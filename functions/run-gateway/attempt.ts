import { sql } from 'kysely'
import type { Db } from '#shared/db/connect.ts'
import type { AttemptRef } from '#shared/job/token.ts'
import type { Closed } from './handler.ts'

/** The attempt with what decides whether it may speak. Nothing for a token whose fence is not the row's. */
export function attemptOf(on: Db, { run, attempt, fence }: AttemptRef) {
  return on
    .selectFrom('attempts')
    .innerJoin('runs', 'runs.id', 'attempts.run_id')
    .select([
      'attempts.state',
      'attempts.result_digest',
      'runs.state as run_state',
      'runs.project_id',
      'runs.bundle_digest',
      sql<boolean>`attempts.deadline_at <= now()`.as('late'),
      sql<boolean>`exists (select from attempts newer where newer.run_id = runs.id and newer.fence > attempts.fence)`.as(
        'fenced',
      ),
    ])
    .where('attempts.run_id', '=', run)
    .where('attempts.attempt', '=', attempt)
    .where('attempts.fence', '=', fence)
    .executeTakeFirst()
}

/** Why an attempt may not speak any more. */
export function closedBy(row: {
  state: string
  run_state: string
  late: boolean
  fenced: boolean
}): Closed | undefined {
  if (row.fenced) return 'fenced'
  if (!['starting', 'running'].includes(row.run_state)) return 'run_over'
  if (row.state !== 'intended' && row.state !== 'created') return 'attempt_closed'
  return row.late ? 'deadline_exceeded' : undefined
}

/** Something was heard of the attempt; locks its row until the transaction ends. */
export async function seen(on: Db, run: string, attempt: number): Promise<void> {
  await on
    .updateTable('attempts')
    .set({ last_seen_at: sql`now()` })
    .where('run_id', '=', run)
    .where('attempt', '=', attempt)
    .execute()
}
