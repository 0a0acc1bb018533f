import { type CloudEvent, HTTP } from 'cloudevents'
import { PermanentError } from '#shared/errors.ts'
import type { EventRef } from '#shared/events/delivered.ts'

/** What we take from a posted event: where to find our own row, and its attributes for the log and for what a broker adds. */
export interface Posted {
  readonly ref: EventRef
  readonly attributes: Readonly<Record<string, string>>
}

/** Reads both modes of the CloudEvents HTTP binding. The data is left unread: content comes from our outbox. */
export async function readEvent(request: Request): Promise<Posted> {
  const headers = Object.fromEntries(request.headers)
  const body = await request.text()
  let event
  try {
    event = HTTP.toEvent<unknown>({ headers, body: body === '' ? undefined : body })
    if (!Array.isArray(event)) (event as CloudEvent<unknown>).validate()
  } catch (error) {
    throw new PermanentError('not a CloudEvent', { cause: error })
  }
  if (Array.isArray(event)) throw new PermanentError('batches are not accepted')
  if (event.specversion !== '1.0') throw new PermanentError('not a CloudEvent of version 1.0')
  const inHeaders = !/^application\/cloudevents\b/i.test(request.headers.get('content-type') ?? '')
  const read = (value: string) => (inHeaders ? decode(value) : value)
  const attributes = Object.entries(event).filter(
    (entry): entry is [string, string | number] => typeof entry[1] === 'string' || typeof entry[1] === 'number',
  )
  const ref = { source: read(event.source), id: read(event.id) }
  // No row of ours has one, and the database would fail on the question.
  if (`${ref.source}${ref.id}`.includes('\0')) throw new PermanentError('an attribute with a NUL character')
  return { ref, attributes: Object.fromEntries(attributes.map(([name, value]) => [name, read(String(value))])) }
}

/** Attribute values in headers are percent-encoded (CloudEvents HTTP binding 3.1.3.2). */
function decode(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}
