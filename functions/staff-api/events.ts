import { sql } from 'kysely'
import * as v from 'valibot'
import type { Db } from '#shared/db/connect.ts'
import type { Consumer } from '#shared/events/subscriptions.ts'
import { redrive } from '#shared/outbox/redrive.ts'
import { decideAccess } from './decide.ts'
import { badCursor, notFound, type Asked, type Clients, type OperationId, type Operations } from './handler.ts'
import { ByTime, iso, isoOrNull, page, readCursor } from './page.ts'

/** The project that an event is about, of an outbox row with its inbox row; null: it is about none. */
export const eventProject = sql<string | null>`coalesce(inbox.project_id, case
  when outbox.event #>> '{extensions,project}' ~ '^[0-9a-f-]{36}$' then (outbox.event #>> '{extensions,project}')::uuid end)`

/** Events of one run that are shown with it. */
const MOST_OF_A_RUN = 200

const BySeq = v.strictTuple([v.pipe(v.number(), v.safeInteger())])
const ByDelivery = v.strictTuple([
  v.pipe(v.string(), v.isoTimestamp()),
  v.pipe(v.string(), v.uuid()),
  v.pipe(v.string(), v.maxLength(50)),
])

/** What happened, what got stuck, and the way back for it. */
export function eventOperations({
  db,
  relay,
}: Clients): Pick<
  Operations,
  'listEvents' | 'getEvent' | 'redriveEvent' | 'listDeadLetters' | 'redriveDeadLetters' | 'listQuarantinedWebhooks'
> {
  return {
    async listEvents({ sees, query: { limit, cursor, project, run, type } }) {
      const after = cursor === undefined ? undefined : readCursor(BySeq, cursor)
      if (cursor !== undefined && after === undefined) return badCursor
      let rows = selectEvents(db)
      if (sees !== 'all') rows = rows.where(sql<boolean>`${eventProject} = any(${sees}::uuid[])`)
      if (project !== undefined) rows = rows.where(sql<boolean>`${eventProject} = ${project}::uuid`)
      if (run !== undefined) rows = rows.where(ofRun(run))
      if (type !== undefined) rows = rows.where('type', '=', type)
      if (after) rows = rows.where('seq', '<', after[0])
      const found = await rows
        .orderBy('seq', 'desc')
        .limit(limit + 1)
        .execute()
      const { shown, next } = page(found, limit, ({ seq }) => [seq])
      return { events: shown.map(eventOf), next }
    },

    async getEvent({ path }) {
      const row = await selectEvents(db).select('outbox.event').where('outbox.id', '=', path.event).executeTakeFirst()
      if (row === undefined) return notFound
      const [deliveries, entry] = await Promise.all([
        db.selectFrom('deliveries').selectAll().where('outbox_id', '=', row.id).orderBy('consumer').execute(),
        db.selectFrom('ledger').select(['seq', 'hash']).where('outbox_id', '=', row.id).executeTakeFirst(),
      ])
      const { source, id, extensions, data } = row.event as {
        source: string
        id: string
        extensions: Record<string, string>
        data: unknown
      }
      return {
        event: eventOf(row),
        source,
        eventId: id,
        extensions,
        data,
        deliveries: deliveries.map((delivery) => ({
          consumer: delivery.consumer as Consumer,
          state: delivery.state,
          attempts: delivery.attempts,
          dueAt: iso(delivery.due_at),
          outcome: delivery.outcome,
          error: delivery.error,
          settledAt: isoOrNull(delivery.settled_at),
        })),
        ledger: entry ?? null,
      }
    },

    async redriveEvent(asked) {
      const rows = await db
        .selectFrom('deliveries')
        .select('consumer')
        .where('outbox_id', '=', asked.path.event)
        .where('state', '=', 'quarantined')
        .execute()
      return put(
        asked,
        rows.map(({ consumer }) => ({ event: asked.path.event, consumer: consumer as Consumer })),
      )
    },

    async listDeadLetters({ sees, query: { limit, cursor, project, consumer } }) {
      const after = cursor === undefined ? undefined : readCursor(ByDelivery, cursor)
      if (cursor !== undefined && after === undefined) return badCursor
      let rows = db
        .selectFrom('deliveries')
        .innerJoin('outbox', 'outbox.id', 'deliveries.outbox_id')
        .leftJoin('inbox', 'inbox.id', 'outbox.inbox_id')
        .select(['outbox.id', 'type', 'subject', 'consumer', 'outcome', 'deliveries.attempts', 'settled_at'])
        .select(eventProject.as('project'))
        .where('deliveries.state', '=', 'quarantined')
      if (sees !== 'all') rows = rows.where(sql<boolean>`${eventProject} = any(${sees}::uuid[])`)
      if (project !== undefined) rows = rows.where(sql<boolean>`${eventProject} = ${project}::uuid`)
      if (consumer !== undefined) rows = rows.where('consumer', '=', consumer)
      if (after)
        rows = rows.where(
          sql<boolean>`(settled_at, outbox.id, consumer) < (${after[0]}::timestamptz, ${after[1]}::uuid, ${after[2]}::text)`,
        )
      const found = await rows
        .orderBy('settled_at', 'desc')
        .orderBy('outbox.id', 'desc')
        .orderBy('consumer', 'desc')
        .limit(limit + 1)
        .execute()
      const letters = found.map(({ id, settled_at, consumer: of, ...row }) => ({
        event: id,
        consumer: of as Consumer,
        ...row,
        // The table's check: what is settled has a time.
        quarantinedAt: iso(settled_at ?? new Date(0)),
      }))
      const { shown, next } = page(letters, limit, (row) => [row.quarantinedAt, row.event, row.consumer])
      return { deadLetters: [...shown], next }
    },

    redriveDeadLetters: (asked) => put(asked, asked.body?.deliveries ?? []),

    async listQuarantinedWebhooks({ sees, query: { limit, cursor, project } }) {
      const after = cursor === undefined ? undefined : readCursor(ByTime, cursor)
      if (cursor !== undefined && after === undefined) return badCursor
      let rows = db
        .selectFrom('inbox')
        .select(['id', 'hook_id', 'delivery_id', 'event_name', 'project_id', 'reason', 'received_at'])
        .where('state', '=', 'quarantined')
      if (sees !== 'all') rows = rows.where('project_id', '=', sql<string>`any(${sees}::uuid[])`)
      if (project !== undefined) rows = rows.where('project_id', '=', project)
      if (after) rows = rows.where(sql<boolean>`(received_at, id) < (${after[0]}::timestamptz, ${after[1]}::uuid)`)
      const found = await rows
        .orderBy('received_at', 'desc')
        .orderBy('id', 'desc')
        .limit(limit + 1)
        .execute()
      const { shown, next } = page(found, limit, (row) => [iso(row.received_at), row.id])
      const webhooks = shown.map((row) => ({
        id: row.id,
        hook: row.hook_id,
        deliveryId: row.delivery_id,
        name: row.event_name,
        project: row.project_id,
        reason: row.reason ?? '',
        receivedAt: iso(row.received_at),
      }))
      return { webhooks, next }
    },
  }

  /** Each by itself: what somebody may not touch, or what is settled, holds up nothing else. */
  async function put(
    { caller, held }: Pick<Asked<OperationId>, 'caller' | 'held'>,
    deliveries: readonly { readonly event: string; readonly consumer: Consumer }[],
  ) {
    const redriven: { event: string; consumer: Consumer }[] = []
    const left: typeof redriven = []
    const written: string[] = []
    for (const { event, consumer } of deliveries) {
      const row = await selectEvents(db).where('outbox.id', '=', event).executeTakeFirst()
      const may = row && decideAccess(held, { role: 'operator', project: row.project }) === 'allowed'
      const by = { producer: 'staff-api', by: caller.user }
      const rows = may === true ? await redrive(db, consumer, event, by) : []
      ;(rows.length > 0 ? redriven : left).push({ event, consumer })
      written.push(...rows)
    }
    await relay.after(written)
    return { redriven, left }
  }
}

/** Events of a run, the first ones first. */
export async function readRunEvents(db: Db, run: string) {
  const rows = await selectEvents(db).where(ofRun(run)).orderBy('seq').limit(MOST_OF_A_RUN).execute()
  return rows.map(eventOf)
}

/** As the partial index on the subject has it. */
const ofRun = (run: string) => sql<boolean>`subject = ${`runs/${run}`} and subject like 'runs/%'`

function selectEvents(db: Db) {
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

function eventOf({
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
