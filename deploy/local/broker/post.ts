import { binaryHeaders, readEvent, type BrokerEvent } from './event.ts'

/** How a subscriber answered, as the broker judges it. */
export interface Answer {
  /** 0: no answer. */
  readonly status: number
  readonly ok: boolean
  /** What the dead-letter sink is told: nothing of an answer in time that never came, or that was no event. */
  readonly failure?: { readonly destination: string; readonly code: number; readonly data: Buffer }
  /** An event in the answer, to be published. */
  readonly reply?: BrokerEvent
}

/** Knative's `SelectiveRetry`: 404 because a pod may be about to come, 409 by tradition. */
export function isRetryable(status: number): boolean {
  return status === 0 || status >= 500 || [404, 408, 409, 429].includes(status)
}

/** Posts the event, and reads the answer by the rules for a subscriber. */
export async function postEvent(target: () => string, event: BrokerEvent, signal: AbortSignal): Promise<Answer> {
  const { headers, body, ...answer } = await post(target, event, { prefer: 'reply' }, signal)
  if (!answer.ok || (body.length === 0 && !headers.has('ce-specversion'))) return answer
  try {
    const reply = readEvent(headers, body)
    if (reply) return { ...answer, reply }
  } catch {
    // It says that it is an event, and is none.
  }
  // The filter in front of a subscriber: "MUST be either empty or a valid CloudEvent".
  return { ok: false, status: 502 }
}

/** Posts the event to where nobody reads the answer's body: a dead-letter sink, the sink of a clock. */
export async function postOnly(target: () => string, event: BrokerEvent, signal: AbortSignal): Promise<Answer> {
  return post(target, event, {}, signal)
}

type Raw = Answer & { readonly headers: Headers; readonly body: Buffer }

async function post(
  target: () => string,
  event: BrokerEvent,
  more: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Raw> {
  let destination = ''
  try {
    destination = target()
    const headers = { ...binaryHeaders(event), ...more }
    const body = new Uint8Array(event.body)
    const response = await fetch(destination, { method: 'POST', headers, body, redirect: 'manual', signal })
    const { ok, status } = response
    const data = Buffer.from(await response.arrayBuffer())
    return {
      ok,
      status,
      headers: response.headers,
      body: data,
      ...(!ok && { failure: { destination, code: status, data } }),
    }
  } catch (error) {
    const none = { ok: false, status: 0, headers: new Headers(), body: Buffer.alloc(0) }
    if (signal.aborted) return none
    // The filter in between answers for the subscriber that cannot be reached.
    const { cause = error } = error as Error
    return {
      ...none,
      failure: { destination, code: 500, data: Buffer.from(`dispatch error: ${(cause as Error).message}`) },
    }
  }
}
