import { binaryHeaders, readEvent, type BrokerEvent } from './event.ts'

/** How a subscriber answered, as the broker judges it. */
export interface Answer {
  /** 0: no answer. */
  readonly status: number
  readonly ok: boolean
  readonly body: Buffer
  /** An event in the answer, to be published. */
  readonly reply?: BrokerEvent
}

/** Knative's `SelectiveRetry`: 404 because a pod may be about to come, 409 by tradition. */
export function isRetryable(status: number): boolean {
  return status === 0 || status >= 500 || [404, 408, 409, 429].includes(status)
}

/** Posts the event, and reads the answer by the rules for a subscriber. */
export async function postEvent(url: string, event: BrokerEvent, signal: AbortSignal): Promise<Answer> {
  const answer = await post(url, event, signal)
  if (answer.status < 200 || answer.status > 299 || answer.body.length === 0 && !answer.headers.has('ce-specversion')) return judged(answer.status, answer.body)
  try {
    const reply = readEvent(answer.headers, answer.body)
    if (reply) return { ...judged(answer.status, answer.body), reply }
  } catch {
    // It says that it is an event, and is none.
  }
  // The filter in front of a subscriber: "MUST be either empty or a valid CloudEvent".
  return judged(502, answer.body)
}

/** Posts the event to where nobody reads the answer's body: a dead-letter sink, the sink of a clock. */
export async function postOnly(url: string, event: BrokerEvent, signal: AbortSignal): Promise<Answer> {
  const { status, body } = await post(url, event, signal)
  return judged(status, body)
}

const judged = (status: number, body: Buffer): Answer => ({ status, ok: status >= 200 && status <= 299, body })

async function post(url: string, event: BrokerEvent, signal: AbortSignal): Promise<{ status: number; headers: Headers; body: Buffer }> {
  try {
    const headers = { ...binaryHeaders(event), prefer: 'reply' }
    const response = await fetch(url, { method: 'POST', headers, body: new Uint8Array(event.body), redirect: 'manual', signal })
    return { status: response.status, headers: response.headers, body: Buffer.from(await response.arrayBuffer()) }
  } catch {
    return { status: 0, headers: new Headers(), body: Buffer.alloc(0) }
  }
}
