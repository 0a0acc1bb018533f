import type { Consumer } from '#shared/events/subscriptions.ts'
import { redrive } from '#shared/outbox/redrive.ts'
import { decideAccess } from './decide.ts'
import { selectEvents } from './event-rows.ts'
import type { Asked, Clients, OperationId, Operations } from './handler.ts'

/** The way back for what got stuck. */
export function redriveOperations({ db, relay }: Clients): Pick<Operations, 'redriveEvent' | 'redriveDeadLetters'> {
  return {
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

    redriveDeadLetters: (asked) => put(asked, asked.body?.deliveries ?? []),
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
