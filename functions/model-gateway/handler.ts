import { crashPoint } from '#shared/crash-point.ts'
import { problem } from '#shared/edge/problem.ts'
import type { AttemptRef } from '#shared/job/token.ts'
import type { Log } from '#shared/log.ts'
import { admit } from './decide.ts'
import {
  denyReservation,
  openAttempt,
  reservation,
  type Attempt,
  type Denied,
  type Usage as RunUsage,
} from './limits.ts'
import type { Answer } from './model.ts'
import { passOn, type Usage } from './stream.ts'

/** What a call cost: as reported, not a token because the provider refused it, or nobody knows. */
export type Cost = Usage | 'nothing' | 'unknown'

/** The end of an attempt to reserve, and the outbox rows it wrote. */
export type Reserved = ({ readonly id: string } | Denied) & { readonly written: readonly string[] }

/** What this function needs from the world, and nothing more. */
export interface Deps {
  attempt(ref: AttemptRef): Promise<Attempt | undefined>
  /** Reserves, unless `deny` says why not when it sees attempt and usage under the lock of the run. */
  reserve(
    ref: AttemptRef,
    tokens: number,
    deny: (attempt: Attempt | undefined, usage: RunUsage) => Denied | undefined,
  ): Promise<Reserved>
  /**
   * Ends the run because its budget is used up: what the agent makes of the refusal does not count. A run that is over,
   * or has gone on to another attempt, stays as it is. Returns the outbox rows it wrote.
   */
  exhaust(ref: AttemptRef, detail: string | undefined): Promise<readonly string[]>
  /** Says that the stream still has its process. False once the reservation is charged or the attempt over. */
  renew(id: string): Promise<boolean>
  /** Turns a reservation into a charge, once. Returns the outbox rows it wrote. */
  settle(id: string, cost: Cost): Promise<readonly string[]>
  relay(written: readonly string[]): Promise<void>
  ask(body: string, signal: AbortSignal): Promise<Answer>
  readonly leaseSeconds: number
  readonly log: Log
}

/** Longest call, milliseconds: what the Service allows a request. */
const MAX_CALL_MS = 600_000

/** Check, admit, reserve, ask, pass on; what happens to the reservation after that is decided by how the answer ends. */
export function modelGateway(deps: Deps) {
  return async (ref: AttemptRef, body: string, client: AbortSignal): Promise<Response> => {
    const log = deps.log.child({ run: ref.run, attempt: ref.attempt })
    const refuse = ({ refused, retryAfter }: Denied) => {
      log.info({ code: refused.code }, 'refused')
      return problem(refused, retryAfter === undefined ? {} : { 'retry-after': retryAfter })
    }

    const attempt = openAttempt(await deps.attempt(ref))
    if ('refused' in attempt) return refuse(attempt)
    const { manifest } = attempt
    const admission = admit(parse(body), manifest)
    if ('refused' in admission) return refuse(admission)
    const request = stringify(admission.request)
    if (request === undefined)
      return refuse({ refused: { status: 400, code: 'invalid_request', title: 'Nested too deeply' } })
    const tokens = reservation(Buffer.byteLength(request), manifest.budget.outputTokens)
    const reserved = await deps.reserve(ref, tokens, (now, usage) => denyReservation(now, tokens, usage))
    if ('refused' in reserved) {
      const { code, detail } = reserved.refused
      crashPoint('model.after-denial')
      const ended = code === 'budget_exhausted' ? await deps.exhaust(ref, detail) : []
      await deps.relay([...reserved.written, ...ended])
      return refuse(reserved)
    }
    crashPoint('model.after-reserve')

    const { id } = reserved
    const stop = new AbortController()
    const unwatch = watch(stop, client, () => deps.renew(id), deps.leaseSeconds * 1_000)
    let written = reserved.written
    const settle = async (cost: Cost) => {
      unwatch()
      crashPoint('model.before-settle')
      try {
        written = [...written, ...(await deps.settle(id, cost))]
        log.info({ call: id, cost }, 'call settled')
      } catch (error) {
        // The answer is not lost with it: the reservation runs out and stays charged.
        log.error({ err: error, call: id }, 'call not settled')
      }
    }
    const answer = await deps.ask(request, stop.signal)
    if ('refused' in answer) {
      await settle(answer.spent ? 'unknown' : 'nothing')
      await deps.relay(written)
      return refuse(answer)
    }
    const ending = {
      settle: (usage: Usage | undefined) => settle(usage ?? 'unknown'),
      settled: () => deps.relay(written),
    }
    const headers = { 'content-type': 'text/event-stream', 'cache-control': 'no-store' }
    return new Response(passOn(answer.stream, stop, ending), { headers })
  }
}

/** Stops the call when the client goes, the time is up, or the reservation is no longer ours. Returns the end of it. */
function watch(stop: AbortController, client: AbortSignal, renew: () => Promise<boolean>, leaseMs: number): () => void {
  const abort = () => stop.abort()
  const limit = setTimeout(abort, MAX_CALL_MS)
  let renewed = performance.now()
  const beat = setInterval(() => {
    void renew().then(
      (ours) => (ours ? (renewed = performance.now()) : abort()),
      // A database that is away for less than the lease stops nothing.
      () => performance.now() - renewed > leaseMs && abort(),
    )
  }, leaseMs / 3)
  client.addEventListener('abort', abort, { once: true })
  if (client.aborted) abort()
  return () => {
    clearTimeout(limit)
    clearInterval(beat)
    client.removeEventListener('abort', abort)
  }
}

/** Parsing has no limit of depth, writing has. */
function stringify(request: object): string | undefined {
  try {
    return JSON.stringify(request)
  } catch {
    return undefined
  }
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}
