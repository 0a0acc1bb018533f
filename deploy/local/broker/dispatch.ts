import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '#shared/log.ts'
import { withExtensions, withoutExtension, type BrokerEvent } from './event.ts'
import { noFaults, type Plan } from './faults.ts'
import type { RecordEntry } from './ledger.ts'
import type { Destination, Trigger } from './manifests.ts'
import { isRetryable, postEvent, postOnly, type Answer } from './post.ts'
import { createSlots } from './slots.ts'

/** Requests under way per trigger where a Service says no limit: what an activator would queue waits here and not in sockets. */
const REQUESTS_PER_TRIGGER = 64

/** Longest error body that Knative's dispatcher survives (measured, eventing 0.50): base64 in a buffer of 1024 characters. */
const MAX_ERROR_BYTES = 768

/** What the deliveries need from the broker. */
export interface DispatchOptions {
  readonly record: RecordEntry
  readonly log: Log | undefined
  /** Asked for every attempt; one that throws is an attempt that nobody answered. */
  readonly resolve: (destination: Destination) => string
  /** Puts a reply on the broker; false when it is refused. */
  readonly publish: (broker: string, event: BrokerEvent) => boolean
  readonly backoffScale: number
  /** Requests that a Service takes at a time, over all triggers, as `containerConcurrency` times its replicas would have it. */
  readonly concurrency?: ((service: string) => number | undefined) | undefined
}

/** The deliveries under way, in memory like those of Knative's in-memory channel. */
export interface Dispatcher {
  dispatch(trigger: Trigger, event: BrokerEvent): void
  idle(): Promise<void>
  pause(): void
  resume(): void
  /** Forgets everything that is held, as a channel whose pod dies. Returns how many deliveries that were. */
  lose(): number
  setPlan(plan: Plan): void
}

/** A dispatcher that holds nothing yet. */
export function createDispatcher(options: DispatchOptions): Dispatcher {
  const { record, log, resolve, publish, backoffScale, concurrency } = options
  const held = new Map<AbortController, Promise<void>>()
  const slots = new Map<string, ReturnType<typeof createSlots>>()
  let plan = noFaults
  let gate: PromiseWithResolvers<void> | undefined

  const slotsOf = (trigger: string, { service }: Destination) => {
    const limit = concurrency?.(service)
    const key = limit === undefined ? trigger : `service ${service}`
    const own = slots.get(key) ?? createSlots(limit ?? REQUESTS_PER_TRIGGER)
    slots.set(key, own)
    return own
  }

  const send = async (
    trigger: Trigger,
    event: BrokerEvent,
    signal: AbortSignal,
    kind: 'attempted' | 'dead-letter-attempted',
    to: Destination,
    once: (signal: AbortSignal) => Promise<Answer>,
  ): Promise<Answer> => {
    const { retry, backoffMs, timeoutMs } = trigger.delivery
    for (let attempt = 0; ; attempt += 1) {
      await gate?.promise
      const answer = await slotsOf(
        trigger.name,
        to,
      )(async () => {
        signal.throwIfAborted()
        return once(AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]))
      })
      signal.throwIfAborted()
      record(kind, event, { trigger: trigger.name, attempt: attempt + 1, status: answer.status })
      if (answer.ok || !isRetryable(answer.status) || attempt >= retry) return answer
      await sleep(backoffMs(attempt) * backoffScale, undefined, { signal })
    }
  }

  const deliver = async (trigger: Trigger, event: BrokerEvent, signal: AbortSignal): Promise<void> => {
    // A subscriber does not see the hop count; its reply gets it back.
    const seen = withoutExtension(event, 'knativebrokerttl')
    let answer = await send(trigger, event, signal, 'attempted', trigger.subscriber, (each) =>
      postEvent(() => resolve(trigger.subscriber), seen, each),
    )
    if (answer.reply && !publish(trigger.broker, withExtensions(answer.reply, hops(event)))) {
      answer = { ok: false, status: 400, failure: { destination: trigger.broker, code: 400, data: Buffer.alloc(0) } }
    }
    if (answer.ok) return record('delivered', event, { trigger: trigger.name, status: answer.status })
    const { deadLetter } = trigger.delivery
    if (deadLetter === undefined) return drop(trigger, event, answer.status)
    const bytes = answer.failure?.data.length ?? 0
    if (bytes > MAX_ERROR_BYTES) {
      record('would-panic', event, { trigger: trigger.name, status: answer.status })
      log?.error(
        { trigger: trigger.name, bytes },
        `an error body over ${MAX_ERROR_BYTES} bytes: Knative's dispatcher would crash on it and lose all it holds`,
      )
    }
    const dead = withExtensions(event, reason(answer))
    const taken = await send(trigger, event, signal, 'dead-letter-attempted', deadLetter, (each) =>
      postOnly(() => resolve(deadLetter), dead, each),
    )
    if (!taken.ok) return drop(trigger, event, taken.status)
    record('dead-lettered', event, { trigger: trigger.name, status: answer.status })
  }

  const drop = (trigger: Trigger, event: BrokerEvent, status: number) => {
    record('dropped', event, { trigger: trigger.name, status })
    log?.error(
      { trigger: trigger.name, eventId: event.attributes['id'], status },
      'an event is dropped: nobody takes it as a dead letter',
    )
  }

  const hold = (trigger: Trigger, event: BrokerEvent, delayMs: number) => {
    const controller = new AbortController()
    const { signal } = controller
    const work = async () => {
      if (delayMs > 0) await sleep(delayMs, undefined, { signal })
      await deliver(trigger, event, signal)
    }
    const done = work()
      .catch((error: unknown) => {
        record(signal.aborted ? 'lost' : 'dropped', event, { trigger: trigger.name })
        if (!signal.aborted) log?.error({ err: error, trigger: trigger.name }, 'the broker failed on an event')
      })
      .finally(() => held.delete(controller))
    held.set(controller, done)
  }

  return {
    dispatch: (trigger, event) => plan().forEach((delayMs) => hold(trigger, event, delayMs)),
    async idle() {
      while (held.size > 0) await Promise.all(held.values())
    },
    pause: () => void (gate ??= Promise.withResolvers()),
    resume() {
      gate?.resolve()
      gate = undefined
    },
    lose() {
      const controllers = [...held.keys()]
      for (const controller of controllers) controller.abort()
      const paused = gate
      gate &&= Promise.withResolvers()
      paused?.resolve()
      return controllers.length
    },
    setPlan: (next) => void (plan = next),
  }
}

const hops = ({ attributes }: BrokerEvent) => ({ knativebrokerttl: attributes['knativebrokerttl'] ?? '' })

/** The extensions of a dead letter. The data may be the empty text. */
function reason({ failure }: Answer): Record<string, string> {
  if (failure === undefined) return {}
  const knativeerrordata = failure.data.toString('base64').slice(0, 1024)
  return { knativeerrordest: failure.destination, knativeerrorcode: String(failure.code), knativeerrordata }
}
