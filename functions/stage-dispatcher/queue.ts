import { sql } from 'kysely'
import type { Row } from '#shared/db/schema.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import type { Writer } from '#shared/outbox/deliver.ts'
import { runEvent } from '#shared/run/run-event.ts'

/** Places at the front of a queue that are told again whenever they change: a queue of a hundred is not a hundred comments for each start. */
const PLACES_TOLD = 5

/** Most runs that are told their place in one go. */
const TOLD_AT_ONCE = 100

/**
 * Tells each waiting run of the project its place once, and the first ones again when it has changed. What was said is
 * in the row, so it is said once however many dispatchers look. A run that somebody is changing just now is left out:
 * that change brings us here again.
 */
export async function announcePlaces({ tx, emit }: Writer, projectId: string): Promise<void> {
  const { rows: told } = await sql<Row<'runs'>>`
    with queue as (
      select id, row_number() over (order by created_at, id) - 1 as place
      from runs where project_id = ${projectId} and state = 'queued'
    ), due as (
      select runs.id, place from runs join queue on queue.id = runs.id
      where state = 'queued' and (ahead is null or (place < ${PLACES_TOLD} and ahead <> place))
      order by place limit ${TOLD_AT_ONCE} for update of runs skip locked
    )
    update runs set ahead = due.place from due where runs.id = due.id returning runs.*`.execute(tx)
  for (const run of told.toSorted((a, b) => (a.ahead ?? 0) - (b.ahead ?? 0)))
    await emit(runEvent(EVENT_TYPES.runQueued, run, { rows: { runs: [run] } }))
}
