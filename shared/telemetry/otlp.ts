import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import type { Tracing } from '#shared/telemetry/trace.ts'

/** Longest time that one answer waits for its spans, milliseconds. */
const FLUSH_MS = 200

/** How long nobody waits any more after a collector that was away or slow, milliseconds. */
const REST_MS = 10_000

/** Longest value of an attribute, characters. */
const MAX_VALUE = 200

const kinds = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
} as const

/**
 * OpenTelemetry's SDK with an exporter over OTLP and HTTP, which reads the rest of its own variables (headers, timeout) by
 * itself. Loaded only where tracing is switched on.
 */
export function otlpTracing(service: string, share: number): Tracing {
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.namespace': 'codex-k8s', 'service.name': service }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(share) }),
    spanLimits: { attributeValueLengthLimit: MAX_VALUE, attributeCountLimit: 32 },
    spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter(), exportTimeoutMillis: 5_000 })],
  })
  const tracer = provider.getTracer('codex-k8s')
  let restUntil = 0

  return {
    start({ name, kind, parent, attributes = {} }) {
      const span = tracer.startSpan(name, { kind: kinds[kind], attributes: { ...attributes } }, contextOf(parent))
      const { traceId, spanId, traceFlags } = span.spanContext()
      return {
        traceparent: `00-${traceId}-${spanId}-0${traceFlags & 1}`,
        set: (more) => void span.setAttributes({ ...more }),
        end(error) {
          if (error !== undefined) {
            span.setStatus({ code: SpanStatusCode.ERROR })
            span.setAttribute('error.type', error instanceof Error ? error.name : typeof error)
          }
          span.end()
        },
      }
    },
    async flush() {
      if (performance.now() < restUntil) return
      await provider.forceFlush({ timeoutMillis: FLUSH_MS }).catch(() => (restUntil = performance.now() + REST_MS))
    },
  }
}

function contextOf(traceparent: string | undefined) {
  const [, traceId, spanId, flags] = /^00-([0-9a-f]{32})-([0-9a-f]{16})-(0[01])$/.exec(traceparent ?? '') ?? []
  if (traceId === undefined || spanId === undefined) return ROOT_CONTEXT
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: flags === '01' ? 1 : 0, isRemote: true })
}
