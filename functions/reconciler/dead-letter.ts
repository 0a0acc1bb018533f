import type { Db } from '#shared/db/connect.ts'
import { FAULT_CODE, PermanentError } from '#shared/errors.ts'
import type { EventRef } from '#shared/events/delivered.ts'
import { subscriptions, type Consumer } from '#shared/events/subscriptions.ts'
import { findDelivery, quarantine } from '#shared/outbox/deliver.ts'

/** What became of a dead letter. */
export interface Taken {
  readonly outboxId: string
  /** Of its delivery, now. */
  readonly state: string
}

/**
 * Takes a dead letter. What the consumer itself refused or failed at is quarantined, with what the broker says about the
 * error. What nobody answered, or was told to come later, stays pending: an outage longer than the broker's patience is
 * the sweep's to outlast. Anybody in the cluster may post here: that the consumer failed is believed only where it noted so
 * itself (`noteFailure`), so a letter that somebody made up changes nothing.
 */
export async function takeDeadLetter(
  db: Db,
  consumer: string,
  ref: EventRef,
  error: Readonly<Record<string, string>>,
): Promise<Taken> {
  if (!Object.hasOwn(subscriptions, consumer)) throw new PermanentError(`no consumer ${consumer.slice(0, 60)}`)
  const found = await findDelivery(db, consumer as Consumer, ref)
  if (found === undefined) throw new PermanentError('no such event was written by this platform')
  const { outboxId, state, hasFailed } = found
  if (state !== 'pending' || !hasFailed || !isFinal(error)) return { outboxId, state }
  const what = storable(
    `dead letter: ${error['knativeerrorcode'] ?? 'no answer'} from ${error['knativeerrordest'] ?? consumer}`,
  )
  const kept = Object.fromEntries(Object.entries(error).map(([name, value]) => [name, storable(value)]))
  await quarantine(db, consumer as Consumer, outboxId, what, kept)
  return { outboxId, state: 'quarantined' }
}

/** Whether the consumer said so itself: a 4xx that a broker does not repeat, or the problem document of a fault. */
function isFinal(error: Readonly<Record<string, string>>): boolean {
  const code = error['knativeerrorcode'] ?? ''
  if (code.startsWith('4')) return !['404', '408', '409', '429'].includes(code)
  const data = error['knativeerrordata'] ?? ''
  // RabbitMQ's class does not pass on what was answered. Nobody between it and the consumer answers 500.
  if (data === '') return code === '500'
  return Buffer.from(data, 'base64').toString('utf8').includes(`"code":"${FAULT_CODE}"`)
}

/** A broker repeats what the failing answer said; the database takes neither NUL nor half of a surrogate pair. */
function storable(text: string): string {
  return text.slice(0, 2_000).toWellFormed().replaceAll('\0', '\u{fffd}')
}
