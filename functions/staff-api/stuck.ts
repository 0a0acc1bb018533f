import { sql } from 'kysely'
import * as v from 'valibot'
import type { Consumer } from '#shared/events/subscriptions.ts'
import { eventProject, eventsOf } from './event-rows.ts'
import { badCursor, type Clients, type Operations } from './handler.ts'
import { ByTime, iso, page, readCursor } from './page.ts'

const ByDelivery = v.strictTuple([
  v.pipe(v.string(), v.isoTimestamp()),
  v.pipe(v.string(), v.uuid()),
  v.pipe(v.string(), v.maxLength(50)),
])

/** What got stuck: events at a consumer, and webhooks that could not be used. */
export function stuckOperations({ db }: Clients): Pick<Operations, 'listDeadLetters' | 'listQuarantinedWebhooks'> {
  return {
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
      if (sees !== 'all') rows = rows.where(eventsOf(sees))
      if (project !== undefined) rows = rows.where(eventsOf([project]))
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
}
