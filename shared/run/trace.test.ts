import { beforeAll, expect, test } from 'vitest'
import { traceOfRun } from '#shared/run/trace.ts'
import { currentTrace, inSpan, inTrace, startTracing, traceIdOf } from '#shared/telemetry/trace.ts'

const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
const work = { name: 'work', kind: 'internal' } as const

// Nobody has to be there: nothing is sent before it is flushed.
beforeAll(() => startTracing('test', { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' }))

test('what happens to a run continues its trace, also in a request of another trace, or of none', async () => {
  expect(traceOfRun({ traceparent })).toBe(traceparent)
  await inSpan(work, async () => {
    expect(traceIdOf(currentTrace() ?? '')).not.toBe(traceIdOf(traceparent))
    expect(traceOfRun({ traceparent })).toBe(traceparent)
  })
})

test('within its own trace it is the child of the work under way', async () => {
  await inTrace(traceparent, () =>
    inSpan(work, async () => {
      expect(traceOfRun({ traceparent })).toBe(currentTrace())
      expect(traceOfRun({ traceparent })).not.toBe(traceparent)
    }),
  )
})

test('a run from before anything was traced goes with the work under way', async () => {
  expect(traceOfRun({ traceparent: null })).toBeUndefined()
  await inSpan(work, async () => expect(traceOfRun({ traceparent: null })).toBe(currentTrace()))
})
