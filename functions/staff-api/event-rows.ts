import { sql } from 'kysely'
import type { Db } from '#shared/db/connect.ts'
import { iso } from './page.ts'

/** The project that an event is about, of an outbox row with its inbox row; null: it is about none. */
export const eventProject = sql<string | null>`coalesce(inbox.project_id, case
  when outbox.event #>> '{extensions,project}' ~ '^[0-9a-f-]{36}$' then (outbox.event #>> '{extensions,project}')::uuid end)`

/** Only events about these projects. */
export const eventsOf = (projects: readonly string[]) => sql<boolean>`${eventProject} = any(${projects}::uuid[])`

/** Events of one run that are shown with it. */
const MOST_OF_A_RUN = 200

/** Events of a run, the first ones first. */
export async function readRunEvents(db: Db, run: string) {
  const rows = await selectEvents(db).where(ofRun(run)).orderBy('seq').limit(MOST_OF_A_RUN).execute()
  return rows.map(eventOf)
}

/** Only events of a run, as the partial index on the subject has it. */
export const ofRun = (run: string) => sql<boolean>`subject = ${`runs/${run}`} and subject like 'runs/%'`

/** Events with the project they are about, and how many of their deliveries stand how. */
export function selectEvents(db: Db) {
  const count = (state: string) =>
    sql<number>`(select count(*) from deliveries where outbox_id = outbox.id and state = ${state})::int`
  return db
    .selectFrom('outbox')
    .leftJoin('inbox', 'inbox.id', 'outbox.inbox_id')
    .select(['outbox.id', 'seq', 'type', 'subject', 'producer', 'outbox.created_at', 'sent_at'])
    .select([
      eventProject.as('project'),
      count('done').as('done'),
      count('pending').as('pending'),
      count('quarantined').as('quarantined'),
    ])
}

type Found = Awaited<ReturnType<ReturnType<typeof selectEvents>['executeTakeFirstOrThrow']>>

/** An event as the contract shows it. */
export function eventOf({
  id,
  seq,
  type,
  subject,
  producer,
  project,
  created_at,
  sent_at,
  done,
  pending,
  quarantined,
}: Found) {
  return {
    id,
    seq,
    type,
    subject,
    producer,
    project,
    createdAt: iso(created_at),
    sent: sent_at !== null,
    deliveries: { done, pending, quarantined },
  }
}
