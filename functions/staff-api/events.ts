import * as v from 'valibot'
import type { Consumer } from '#shared/events/subscriptions.ts'
import { eventOf, eventsOf, ofRun, selectEvents } from './event-rows.ts'
import { badCursor, notFound, type Clients, type Operations } from './handler.ts'
import { iso, isoOrNull, page, readCursor } from './page.ts'

const BySeq = v.strictTuple([v.pipe(v.number(), v.safeInteger())])

/** What happened, and what became of it. */
export function eventOperations({ db }: Clients): Pick<Operations, 'listEvents' | 'getEvent'> {
  return {
    async listEvents({ sees, query: { limit, cursor, project, run, type } }) {
      const after = cursor === undefined ? undefined : readCursor(BySeq, cursor)
      if (cursor !== undefined && after === undefined) return badCursor
      let rows = selectEvents(db)
      if (sees !== 'all') rows = rows.where(eventsOf(sees))
      if (project !== undefined) rows = rows.where(eventsOf([project]))
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
  }
}
