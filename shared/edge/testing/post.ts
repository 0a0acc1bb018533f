import type { Db } from '#shared/db/connect.ts'
import type { App } from '#shared/edge/serve.ts'
import { createLog, type Log } from '#shared/log.ts'
import type { Relay } from '#shared/outbox/relay.ts'

/** Says nothing. */
export const quiet: Log = createLog('test', 'silent')

/** A broker that is away: everything stays in the outbox. */
export const noRelay: Relay = { after: async () => {}, overdue: async () => 0 }

/** A log that is kept, line by line. */
export function keptLog(): { readonly log: Log; readonly lines: readonly string[] } {
  const lines: string[] = []
  return { log: createLog('test', 'debug', { write: (line) => void lines.push(line) }), lines }
}

/** Posts an outbox row's event to a function, as a broker does; its answer and how the row stands then. */
export async function post(app: App, db: Db, consumer: string, outboxId: string) {
  const row = await db
    .selectFrom('outbox')
    .select(['source', 'event_id', 'type'])
    .where('id', '=', outboxId)
    .executeTakeFirstOrThrow()
  const response = await app.fetch(
    new Request('http://function/', {
      method: 'POST',
      headers: {
        'ce-specversion': '1.0',
        'ce-id': encodeURIComponent(row.event_id),
        'ce-source': encodeURI(row.source),
        'ce-type': row.type,
      },
    }),
  )
  const delivery = await db
    .selectFrom('deliveries')
    .select(['state', 'outcome'])
    .where('outbox_id', '=', outboxId)
    .where('consumer', '=', consumer)
    .executeTakeFirstOrThrow()
  return { status: response.status, text: await response.text(), headers: response.headers, ...delivery }
}

/** Asks a function to take up what is due. */
export async function sweep(app: App, grace = 0): Promise<Response> {
  return app.fetch(new Request(`http://function/sweep?grace=${grace}`, { method: 'POST' }))
}
