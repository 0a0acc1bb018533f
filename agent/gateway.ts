import { setTimeout as pause } from 'node:timers/promises'
import * as v from 'valibot'
import { sha256 } from '#shared/digest.ts'
import { RunInput } from '#shared/job/bundle.ts'
import type { Progress, ResultManifest } from '#shared/job/result.ts'
import { Failure } from './failure.ts'

/** Longest time that one call is repeated, milliseconds. */
const PATIENCE = 120_000

/** Longest time one request may take, milliseconds. */
const REQUEST_TIMEOUT = 60_000

const retried = new Set([429, 502, 503, 504])
const over = new Set([403, 409, 410])

/** run-gateway as the runner sees it. Every call may be repeated without harm, and is. */
export interface RunGateway {
  /** The immutable input, parsed; its digest is for the caller to check. */
  input(signal: AbortSignal): Promise<RunInput>
  /** A blob of the input, checked against its name. */
  blob(digest: string, signal: AbortSignal): Promise<Buffer>
  /** Stores the bytes and returns their digest. */
  upload(bytes: Buffer, signal: AbortSignal): Promise<string>
  /** Tells what happens now; true when the attempt is over and the agent has to stop. Tried once. */
  progress(progress: Progress): Promise<boolean>
  /** Says that we live; true when the attempt is over and the agent has to stop. Tried once. */
  heartbeat(): Promise<boolean>
  /** Hands in the one answer of this attempt. */
  result(result: ResultManifest, signal: AbortSignal): Promise<void>
}

interface Answer {
  readonly status: number
  readonly body: Buffer
}

const Stop = v.object({ stop: v.literal(true) })

/** A client of the run-gateway at `url`. `wait` is between two tries of one call. */
export function runGateway(options: {
  readonly url: string
  readonly token: string
  readonly wait?: (milliseconds: number, signal: AbortSignal) => Promise<unknown>
}): RunGateway {
  const wait = options.wait ?? ((milliseconds, signal) => pause(milliseconds, undefined, { signal }))

  const send = async (
    method: string,
    path: string,
    signal: AbortSignal,
    body?: string | Uint8Array<ArrayBuffer>,
    type?: string,
  ): Promise<Answer & { retryAfter: number }> => {
    const response = await fetch(`${options.url}${path}`, {
      method,
      redirect: 'error',
      headers: { authorization: `Bearer ${options.token}`, ...(type === undefined ? {} : { 'content-type': type }) },
      signal: AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIMEOUT)]),
      ...(body === undefined ? {} : { body }),
    })
    const retryAfter = Number(response.headers.get('retry-after') ?? 0) * 1000 || 0
    return { status: response.status, body: Buffer.from(await response.arrayBuffer()), retryAfter }
  }

  /** Repeats until there is a final answer, the caller gives up, or patience ends. */
  const call = async (
    method: string,
    path: string,
    signal: AbortSignal,
    body?: string | Uint8Array<ArrayBuffer>,
    type?: string,
  ): Promise<Buffer> => {
    const end = Date.now() + PATIENCE
    for (let tries = 0; ; tries++) {
      let failure: string
      let delay = Math.min(200 * 2 ** tries, 10_000) * (0.5 + Math.random())
      try {
        const answer = await send(method, path, signal, body, type)
        if (answer.status >= 200 && answer.status < 300) return answer.body
        failure = `${method} ${path} was answered ${answer.status} ${answer.body.toString().slice(0, 200)}`
        if (!retried.has(answer.status))
          throw new Failure(over.has(answer.status) ? 'stopped' : 'agent_failed', failure)
        delay = Math.max(delay, answer.retryAfter)
      } catch (error) {
        if (error instanceof Failure) throw error
        signal.throwIfAborted()
        failure = `${method} ${path} failed: ${cause(error)}`
      }
      if (Date.now() + delay > end) throw new Failure('agent_failed', failure)
      await wait(delay, signal).catch(() => signal.throwIfAborted())
    }
  }

  return {
    async input(signal) {
      const parsed = v.safeParse(RunInput, parseJson(await call('GET', '/v1/input', signal)))
      if (parsed.success) return parsed.output
      throw new Failure('input_invalid', `The input is not valid: ${parsed.issues[0].message}`)
    },
    async blob(digest, signal) {
      const bytes = await call('GET', `/v1/blobs/${digest}`, signal)
      if (sha256(bytes) !== digest) throw new Failure('input_invalid', `Blob ${digest} has other content`)
      return bytes
    },
    async upload(bytes, signal) {
      const digest = sha256(bytes)
      await call('PUT', `/v1/blobs/${digest}`, signal, new Uint8Array(bytes), 'application/octet-stream')
      return digest
    },
    async progress(progress) {
      const signal = AbortSignal.timeout(10_000)
      const answer = await send('POST', '/v1/progress', signal, JSON.stringify(progress), 'application/json')
      return over.has(answer.status) || v.is(Stop, parseJson(answer.body))
    },
    async heartbeat() {
      const answer = await send('POST', '/v1/heartbeat', AbortSignal.timeout(10_000))
      return over.has(answer.status)
    },
    async result(result, signal) {
      await call('POST', '/v1/result', signal, JSON.stringify(result), 'application/json')
    },
  }
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch {
    return undefined
  }
}

function cause(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? error.cause.message : error.message
}
