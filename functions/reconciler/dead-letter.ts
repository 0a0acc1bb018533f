import type { Db } from '#shared/db/connect.ts'
import { PermanentError } from '#shared/errors.ts'
import type { EventRef } from '#shared/events/delivered.ts'
import { subscriptions, type Consumer } from '#shared/events/subscriptions.ts'
import { findDelivery, quarantine } from '#shared/outbox/deliver.ts'

/** Takes a dead letter: the consumer's row becomes quarantined, with what the broker says about the error. */
export async function takeDeadLetter(
  db: Db,
  consumer: string,
  ref: EventRef,
  error: Readonly<Record<string, string>>,
): Promise<string> {
  if (!Object.hasOwn(subscriptions, consumer)) throw new PermanentError(`no consumer ${consumer.slice(0, 60)}`)
  const found = await findDelivery(db, consumer as Consumer, ref)
  if (found === undefined) throw new PermanentError('no such event was written by this platform')
  const what = `dead letter: ${error['knativeerrorcode'] ?? 'no answer'} from ${error['knativeerrordest'] ?? consumer}`
  const kept = Object.entries(error).map(([name, value]) => [name, storable(value)])
  await quarantine(db, consumer as Consumer, found.outboxId, storable(what), Object.fromEntries(kept))
  return found.outboxId
}

/** A broker repeats what the failing answer said; the database takes neither NUL nor half of a surrogate pair. */
function storable(text: string): string {
  return text.slice(0, 2_000).toWellFormed().replaceAll('\0', '\u{fffd}')
}
