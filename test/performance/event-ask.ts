import type { Db } from '#shared/db/connect.ts'
import type { Ask } from './ask.ts'

/** The newest event of this kind about this subject that waits for this consumer, as the broker would post it. */
export async function eventAsk(db: Db, consumer: string, type: string, subject: string): Promise<Ask> {
  const row = await onlyRow(
    db
      .selectFrom('outbox')
      .innerJoin('deliveries', 'deliveries.outbox_id', 'outbox.id')
      .leftJoin('inbox', 'inbox.id', 'outbox.inbox_id')
      .select(['outbox.source', 'outbox.event_id as id', 'outbox.event', 'inbox.body'])
      .where('deliveries.consumer', '=', consumer)
      .where('deliveries.state', '=', 'pending')
      .where('outbox.type', '=', type)
      .where('outbox.subject', '=', subject)
      .orderBy('outbox.seq', 'desc')
      .limit(1),
    `${type} about ${subject} for ${consumer}`,
  )
  const { source, id } = row
  const { time, extensions, data } = row.event as {
    time: string
    extensions: Record<string, string>
    data: unknown
  }
  const attributes = { specversion: '1.0', id, source, type, subject, time, ...extensions }
  const headers = Object.entries(attributes).map(([name, value]) => [`ce-${name}`, encodeURI(value)])
  return {
    method: 'POST',
    path: '/',
    headers: { ...Object.fromEntries(headers), 'content-type': 'application/json' },
    body: row.body ?? JSON.stringify(data),
  }
}

/** The row of a query that must have one. */
export async function onlyRow<T>(query: { executeTakeFirst(): Promise<T | undefined> }, what = 'row'): Promise<T> {
  const row = await query.executeTakeFirst()
  if (row === undefined) throw new Error(`there is no ${what}`)
  return row
}
