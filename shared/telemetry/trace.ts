import { AsyncLocalStorage } from 'node:async_hooks'

/** Where a function sends its spans; OpenTelemetry's own variables. Without either nothing is traced and nothing loaded. */
export interface TracingEnv {
  readonly OTEL_EXPORTER_OTLP_ENDPOINT?: string | undefined
  readonly OTEL_EXPORTER_OTLP_TRACES_ENDPOINT?: string | undefined
  /** Share of the traces that are kept, 0 to 1. */
  readonly OTEL_TRACES_SAMPLER_ARG?: number | undefined
}

/** A piece of work that is to be seen. Nothing in it is anybody's text: names and values come from our code or from lists. */
export interface SpanOptions {
  /** Few words of ours, such as `process dev.codex-k8s.run.finished.v1`. */
  readonly name: string
  readonly kind: 'internal' | 'server' | 'client' | 'producer' | 'consumer'
  /** W3C `traceparent` of what caused it; the span that is open now, if it is not given. */
  readonly parent?: string | null | undefined
  readonly attributes?: Readonly<Record<string, string | number | boolean | undefined>>
}

/** A span that has begun, and the `traceparent` of what it causes. */
export interface OpenSpan {
  readonly traceparent: string
  set(attributes: NonNullable<SpanOptions['attributes']>): void
  /** With the error it ended with: its class becomes known, its message does not. */
  end(error?: unknown): void
}

/** What makes spans and sends them; `otlp.ts` is the one implementation. */
export interface Tracing {
  start(span: SpanOptions & { readonly parent: string | undefined }): OpenSpan
  /** Sends what has ended, or gives up in time. Never throws. */
  flush(): Promise<void>
}

let tracing: Tracing | undefined
const current = new AsyncLocalStorage<string>()

/** Switches tracing on, if the environment says where to send spans. Only then OpenTelemetry is loaded. */
export async function startTracing(service: string, env: TracingEnv): Promise<void> {
  if (!env.OTEL_EXPORTER_OTLP_ENDPOINT && !env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) return
  const { otlpTracing } = await import('./otlp.ts')
  tracing = otlpTracing(service, env.OTEL_TRACES_SAMPLER_ARG ?? 1)
}

/** Whether anybody looks: what only a span needs may be left out otherwise. */
export function isTracing(): boolean {
  return tracing !== undefined
}

/** `traceparent` of the work under way; undefined where nothing is traced. */
export function currentTrace(): string | undefined {
  return current.getStore()
}

/** The trace a `traceparent` belongs to, 32 hex digits. */
export function traceIdOf(traceparent: string): string {
  return traceparent.slice(3, 35)
}

/** Does the work as a part of the trace that caused it, without a span of its own. */
export function inTrace<T>(parent: string | null | undefined, work: () => Promise<T>): Promise<T> {
  return tracing === undefined || parent == null ? work() : current.run(parent, work)
}

/** Does the work as a span. Where nothing is traced it is the work alone. */
export async function inSpan<T>(options: SpanOptions, work: (span: OpenSpan | undefined) => Promise<T>): Promise<T> {
  if (tracing === undefined) return work(undefined)
  const span = tracing.start({ ...options, parent: options.parent ?? currentTrace() })
  try {
    const result = await current.run(span.traceparent, () => work(span))
    span.end()
    return result
  } catch (error) {
    span.end(error)
    throw error
  }
}

/** Sends the spans that have ended. To be awaited before an answer: after it a function may have no time any more. */
export async function flushSpans(): Promise<void> {
  await tracing?.flush()
}
