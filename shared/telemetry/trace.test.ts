import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished, expect, test } from 'vitest'
import { currentTrace, flushSpans, inSpan, inTrace, isTracing, startTracing } from '#shared/telemetry/trace.ts'

const outer = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

// In this order: tracing cannot be switched off again.
test('where no collector is named, work is done as if nothing were there', async () => {
  await startTracing('test', {})
  await startTracing('test', { OTEL_EXPORTER_OTLP_ENDPOINT: '' })
  expect(isTracing()).toBe(false)
  const seen = await inTrace(outer, () =>
    inSpan({ name: 'x', kind: 'server' }, async (span) => [span, currentTrace()] as const),
  )
  expect(seen).toEqual([undefined, undefined])
  await flushSpans()
})

test('a span is the child of what caused it, an error ends it with its class only, and a collector that hangs is waited for once', async () => {
  const server = createServer(() => {}).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`
  process.env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] = url
  onTestFinished(() => void delete process.env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'])
  await startTracing('test', { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: url })
  expect(isTracing()).toBe(true)

  const inner = await inTrace(outer, () => inSpan({ name: 'x', kind: 'server' }, async () => currentTrace()))
  expect(inner).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$/)
  expect(inner).not.toBe(outer)
  expect(currentTrace()).toBeUndefined()
  for (const parent of [undefined, null, '', 'x', `${outer}x`, outer.toUpperCase()])
    expect(await inSpan({ name: 'x', kind: 'server', parent }, async () => currentTrace())).toMatch(
      /^00-(?!0af765)[0-9a-f]{32}-[0-9a-f]{16}-01$/,
    )
  await expect(inSpan({ name: 'x', kind: 'server' }, () => Promise.reject(new Error('no')))).rejects.toThrow('no')

  const waits: number[] = []
  for (let flush = 0; flush < 3; flush += 1) {
    const before = performance.now()
    await flushSpans()
    waits.push(performance.now() - before)
    await inSpan({ name: 'x', kind: 'server' }, async () => {})
  }
  expect(waits[0]).toBeGreaterThan(150)
  expect(Math.max(...waits.slice(1))).toBeLessThan(150)
})
