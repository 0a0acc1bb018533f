import { randomUUID } from 'node:crypto'
import type { Log } from '#shared/log.ts'
import type { Destination, Ping } from './manifests.ts'
import { postOnly } from './post.ts'

/** Longest answer to a tick, milliseconds: the function's own limit. */
const TIMEOUT_MS = 60_000

/** The clocks of the manifests, running. */
export interface Pings {
  /** All of them once, now. */
  tick(): Promise<void>
  stop(): void
}

/** Starts the clocks. A tick that nobody takes is not repeated: the next one comes. */
export function startPings(
  pings: readonly Ping[],
  options: {
    readonly address: (sink: Destination) => string
    readonly pingEverySeconds?: number
    readonly log?: Log
    readonly now?: () => Date
  },
): Pings {
  const { log, now = () => new Date() } = options
  const stopped = new AbortController()
  const tick = async ({ name, sink, contentType, data }: Ping) => {
    const source = `/apis/v1/namespaces/local/pingsources/${name}`
    const attributes = {
      specversion: '1.0',
      id: randomUUID(),
      source,
      type: 'dev.knative.sources.ping',
      time: now().toISOString(),
    }
    const signal = AbortSignal.any([stopped.signal, AbortSignal.timeout(TIMEOUT_MS)])
    const answer = await postOnly(
      () => options.address(sink),
      { attributes, contentType, body: Buffer.from(data) },
      signal,
    )
    if (!answer.ok && !stopped.signal.aborted)
      log?.warn({ pingSource: name, status: answer.status }, 'nobody took the tick')
  }
  const all = async () => void (await Promise.all(pings.map(tick)))
  const timer =
    options.pingEverySeconds === undefined ? undefined : setInterval(() => void all(), options.pingEverySeconds * 1_000)
  return {
    tick: all,
    stop() {
      clearInterval(timer)
      stopped.abort()
    },
  }
}
