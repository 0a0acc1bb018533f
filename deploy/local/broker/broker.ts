import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Log } from '#shared/log.ts'
import { createDispatcher } from './dispatch.ts'
import { readEvent, withExtensions, type BrokerEvent } from './event.ts'
import { noFaults, planFaults, type Faults } from './faults.ts'
import { createLedger, type Ledger, type LedgerEntry } from './ledger.ts'
import { readEventing, type Destination } from './manifests.ts'
import { startPings } from './ping.ts'

/** Passes through the broker that an event and the replies to it may make: Knative's default. */
const MAX_HOPS = 255

/** How to start the broker. */
export interface BrokerOptions {
  /** The folder of the manifests. */
  readonly eventing: URL | string
  /** Base URL of a function. Asked for every delivery, so that a function may move. */
  readonly resolve: (service: string) => string
  /** Any free port when absent. */
  readonly port?: number
  readonly log?: Log
  readonly now?: () => Date
  /** Factor on every wait between attempts: tests do not want Knative's seconds. */
  readonly backoffScale?: number
  /** Period of every PingSource; without it they tick only when asked to. */
  readonly pingEverySeconds?: number
  readonly faults?: Faults
  /** Requests that a Service takes at a time; by default each trigger is limited by itself. */
  readonly concurrency?: (service: string) => number | undefined
  /** Told of every entry of the ledger as it is made, for a ledger that outlives the broker. */
  readonly journal?: (entry: LedgerEntry) => void
}

/** A running broker. */
export interface Broker {
  /** Where events are posted. */
  readonly url: string
  readonly ledger: Ledger
  /** Resolves when nothing is held: all settled, replies and dead letters included. */
  idle(): Promise<void>
  /** Ticks every PingSource once. */
  ping(): Promise<void>
  /** Accepts, but starts no further attempt. */
  pause(): void
  resume(): void
  /** Forgets everything that is held, as a channel whose pod dies. Returns how many deliveries that were. */
  lose(): number
  /** From now on; without an argument nothing goes wrong any more. */
  setFaults(faults?: Faults): void
  stop(): Promise<void>
}

/** Starts a broker in this process that plays the manifests by the rules of Knative's channel-based one, and remembers. */
export async function startBroker(options: BrokerOptions): Promise<Broker> {
  const { log, now = () => new Date() } = options
  const eventing = readEventing(options.eventing)
  const { ledger, record } = createLedger(now, options.journal)

  const address = ({ service, uri }: Destination) => new URL(uri, options.resolve(service)).href
  const accept = (name: string, event: BrokerEvent): boolean => {
    const before = event.attributes['knativebrokerttl']
    const hops = before === undefined ? MAX_HOPS : Number(before) - 1
    if (!(hops > 0)) return false
    const accepted = withExtensions(event, { knativearrivaltime: now().toISOString(), knativebrokerttl: String(hops) })
    record('accepted', accepted)
    for (const trigger of eventing.triggers) {
      if (trigger.broker === name && trigger.filter(accepted.attributes)) dispatcher.dispatch(trigger, accepted)
    }
    return true
  }
  const dispatcher = createDispatcher({
    record,
    log,
    resolve: address,
    publish: accept,
    backoffScale: options.backoffScale ?? 1,
    concurrency: options.concurrency,
  })
  if (options.faults) dispatcher.setPlan(planFaults(options.faults))

  const app = new Hono()
  app.post('/:namespace/:broker', async (c) => {
    const name = c.req.param('broker')
    if (!eventing.brokers.has(name)) return c.body(null, 404)
    const event = read([...c.req.raw.headers], Buffer.from(await c.req.arrayBuffer()))
    return c.body(null, event && accept(name, event) ? 202 : 400)
  })
  app.onError((error, c) => {
    log?.error({ err: error }, 'the broker could not take an event')
    return c.body(null, 500)
  })

  const server = serve({
    fetch: (request: Request) => app.fetch(request),
    port: options.port ?? 0,
    hostname: '127.0.0.1',
  }) as Server
  await once(server, 'listening')
  const pings = startPings(eventing.pings, { ...options, address })

  const stop = async () => {
    pings.stop()
    dispatcher.lose()
    dispatcher.resume()
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await Promise.all([closed, dispatcher.idle()])
  }
  let stopped: Promise<void> | undefined

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/local/${[...eventing.brokers][0]}`,
    ledger,
    idle: () => dispatcher.idle(),
    ping: () => pings.tick(),
    pause: () => dispatcher.pause(),
    resume: () => dispatcher.resume(),
    lose: () => dispatcher.lose(),
    setFaults: (faults) => dispatcher.setPlan(faults ? planFaults(faults) : noFaults),
    stop: () => (stopped ??= stop()),
  }
}

function read(headers: readonly [string, string][], body: Buffer): BrokerEvent | undefined {
  try {
    return readEvent(headers, body)
  } catch {
    return undefined
  }
}
