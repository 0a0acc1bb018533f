import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LineCounter, parseAllDocuments } from 'yaml'
import { attributesFilter, dialectFilter, type Filter } from './filter.ts'

/** A function's Service and the path on it. */
export interface Destination {
  readonly service: string
  readonly uri: string
}

/** How often, how fast and how long a delivery is tried, and where it ends when it fails. */
export interface DeliverySpec {
  /** Attempts after the first one. */
  readonly retry: number
  /** Wait before the attempt after `attempt` failed ones less one, milliseconds: counted from 0, without a cap, as in Knative. */
  readonly backoffMs: (attempt: number) => number
  readonly timeoutMs: number
  readonly deadLetter?: Destination
}

/** One subscription to the broker. */
export interface Trigger {
  readonly name: string
  readonly broker: string
  readonly filter: Filter
  readonly subscriber: Destination
  readonly delivery: DeliverySpec
}

/** One clock; the local broker ticks at the pace of its option, not by `schedule`. */
export interface Ping {
  readonly name: string
  readonly sink: Destination
  readonly contentType: string | undefined
  readonly data: string
}

/** What is in `eventing/`. */
export interface Eventing {
  readonly brokers: ReadonlySet<string>
  readonly triggers: readonly Trigger[]
  readonly pings: readonly Ping[]
}

interface Sink {
  ref?: { kind?: string; name?: string }
  uri?: string
}
interface Delivery {
  retry?: number
  backoffPolicy?: string
  backoffDelay?: string
  timeout?: string
  deadLetterSink?: Sink
}
interface Manifest {
  kind?: string
  metadata?: { name?: string; annotations?: Record<string, string> }
  spec?: {
    broker?: string
    filter?: { attributes?: Record<string, unknown> }
    filters?: unknown[]
    subscriber?: Sink
    sink?: Sink
    delivery?: Delivery
    contentType?: string
    data?: string
  }
}

/** Reads every YAML file of the folder. What cannot be played here is an error that names the file and the line. */
export function readEventing(folder: URL | string): Eventing {
  const path = folder instanceof URL ? fileURLToPath(folder) : folder
  const manifests = readdirSync(path)
    .filter((name) => /\.ya?ml$/.test(name))
    .sort()
    .flatMap((name) => parse(join(path, name)))
  const defaults = new Map<string, Delivery | undefined>()
  const triggers: ((defaults: ReadonlyMap<string, Delivery | undefined>) => Trigger)[] = []
  const pings: Ping[] = []
  for (const { manifest, named } of manifests) {
    if (manifest.kind === 'Broker') named(() => defaults.set(manifest.metadata?.name ?? '', brokerDelivery(manifest)))
    else if (manifest.kind === 'Trigger') triggers.push((brokers) => named(() => trigger(manifest, brokers)))
    else if (manifest.kind === 'PingSource') pings.push(named(() => ping(manifest)))
    else if (manifest.kind !== 'Kustomization') named(() => fail(`kind ${manifest.kind} is not played locally`))
  }
  return { brokers: new Set(defaults.keys()), triggers: triggers.map((make) => make(defaults)), pings }
}

function parse(file: string) {
  const lines = new LineCounter()
  return parseAllDocuments(readFileSync(file, 'utf8'), { lineCounter: lines }).map((document) => {
    const line = lines.linePos(document.contents?.range?.[0] ?? 0).line
    const named = <T>(work: () => T): T => {
      try {
        return work()
      } catch (error) {
        throw new Error(`${file}:${line}: ${(error as Error).message}`, { cause: error })
      }
    }
    const manifest = named(() =>
      document.errors[0] ? fail(document.errors[0].message) : (document.toJS() as Manifest),
    )
    return { manifest, named }
  })
}

function brokerDelivery({ metadata, spec }: Manifest): Delivery | undefined {
  // Without it a post waits for the slowest trigger and a producer that goes away ends the retries; that is not played here.
  const isAsync = metadata?.annotations?.['messaging.knative.dev/async-handler'] === 'true'
  return isAsync ? spec?.delivery : fail("annotation messaging.knative.dev/async-handler: 'true' is missing")
}

function trigger({ metadata, spec = {} }: Manifest, brokers: ReadonlyMap<string, Delivery | undefined>): Trigger {
  const broker = spec.broker ?? 'default'
  if (!brokers.has(broker)) fail(`there is no broker ${broker}`)
  return {
    name: metadata?.name ?? fail('metadata.name is missing'),
    broker,
    filter: spec.filters ? dialectFilter({ all: spec.filters }) : attributesFilter(spec.filter?.attributes ?? {}),
    subscriber: destination(spec.subscriber),
    // The trigger's own delivery replaces the broker's as a whole.
    delivery: deliverySpec(spec.delivery ?? brokers.get(broker) ?? {}),
  }
}

function ping({ metadata, spec = {} }: Manifest): Ping {
  const name = metadata?.name ?? fail('metadata.name is missing')
  return { name, sink: destination(spec.sink), contentType: spec.contentType, data: spec.data ?? '' }
}

function destination(sink: Sink = {}): Destination {
  if (sink.ref?.kind !== 'Service' || !sink.ref.name) fail('a destination has to be a ref to a Service')
  return { service: sink.ref?.name ?? '', uri: sink.uri ?? '' }
}

function deliverySpec({
  retry = 0,
  backoffPolicy = 'exponential',
  backoffDelay,
  timeout,
  deadLetterSink,
}: Delivery): DeliverySpec {
  const delayMs = backoffDelay === undefined ? 0 : milliseconds(backoffDelay)
  if (backoffPolicy !== 'exponential' && backoffPolicy !== 'linear') fail(`unknown backoffPolicy ${backoffPolicy}`)
  return {
    retry,
    backoffMs: (attempt) => delayMs * (backoffPolicy === 'linear' ? attempt : 2 ** attempt),
    timeoutMs: timeout === undefined ? 600_000 : milliseconds(timeout),
    ...(deadLetterSink && { deadLetter: destination(deadLetterSink) }),
  }
}

function milliseconds(duration: string): number {
  const [, hours = 0, minutes = 0, seconds = 0] =
    /^PT(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?$/.exec(duration) ?? fail(`${duration} is not a duration`)
  return Number(hours) * 3_600_000 + Number(minutes) * 60_000 + Number(seconds) * 1_000
}

function fail(message: string): never {
  throw new Error(message)
}
