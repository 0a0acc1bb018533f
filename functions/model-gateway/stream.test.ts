import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { passOn, type Usage } from './stream.ts'
import { completed, events } from './testing/provider.ts'

interface Outcome {
  readonly text: string
  readonly done: readonly string[]
}

/** Reads the stream to its end; `done` has what happened in its order. */
async function read(chunks: readonly (string | Uint8Array)[], fail?: Error): Promise<Outcome> {
  const done: string[] = []
  const encoder = new TextEncoder()
  const upstream = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(typeof chunk === 'string' ? encoder.encode(chunk) : chunk)
    },
    pull(controller) {
      if (fail) controller.error(fail)
      else controller.close()
    },
  })
  const ending = {
    settle: async (usage: Usage | undefined) => void done.push(`settle ${JSON.stringify(usage)}`),
    settled: async () => {
      // Whoever reads has had its turn by then.
      await new Promise(setImmediate)
      done.push('settled')
    },
  }
  let text = ''
  for await (const chunk of passOn(upstream, new AbortController(), ending).pipeThrough(new TextDecoderStream())) {
    if (chunk.includes('"type":"response.completed"')) done.push('last event')
    text += chunk
  }
  return { text, done }
}

const delta = { type: 'response.output_text.delta', delta: 'Grüße, "type":"response.completed"' }
const whole = events({ type: 'response.created' }, delta, completed(12, 3))

describe('an answer that ends', () => {
  test('passes unchanged, settled before its last event and recorded before it is closed', async () => {
    const usage = JSON.stringify({ inputTokens: 12, outputTokens: 3 })
    expect(await read([whole])).toEqual({ text: whole, done: [`settle ${usage}`, 'last event', 'settled'] })
  })

  test.for(['response.incomplete', 'response.failed'])('is settled by the usage in %s', async (type) => {
    const { done } = await read([events(delta, { ...completed(5, 6), type })])
    expect(done).toEqual(['settle {"inputTokens":5,"outputTokens":6}', 'settled'])
  })

  test('is passed on wherever the network cuts it, byte for byte', async () => {
    const bytes = new TextEncoder().encode(whole.replaceAll('\n', '\r\n') + whole)
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(bytes.length), { maxLength: 20 }), async (cuts) => {
        const edges = [0, ...cuts.toSorted((a, b) => a - b), bytes.length]
        const chunks = edges.slice(1).map((end, index) => bytes.slice(edges[index], end))
        const { text, done } = await read(chunks)
        // What comes after the last event is not part of the answer.
        expect(text).toBe(whole.replaceAll('\n', '\r\n'))
        expect(done[0]).toBe('settle {"inputTokens":12,"outputTokens":3}')
      }),
      { numRuns: 50 },
    )
  })

  test('without a blank line after its last event is whole', async () => {
    expect((await read([whole.trimEnd()])).done[0]).toBe('settle {"inputTokens":12,"outputTokens":3}')
  })
})

describe('nobody knows what it cost', () => {
  test.for<[string, string]>([
    ['an answer cut by the provider', events(delta)],
    ['an answer cut within its last event', whole.slice(0, -20)],
    ['nothing at all', ''],
    ['an error', events(delta, { type: 'error', code: 'server_error' })],
    ['a failure without usage', events({ type: 'response.failed', response: { usage: null } })],
    ['a last event without a response', events({ type: 'response.completed' })],
    ['negative usage', events(completed(-1, 5))],
    [
      'usage that is text',
      events({ type: 'response.completed', response: { usage: { input_tokens: '1', output_tokens: '1' } } }),
    ],
  ])('%s', async ([, text]) => {
    expect((await read([text])).done.filter((step) => step !== 'last event')).toEqual(['settle undefined', 'settled'])
  })

  test('a connection that breaks', async () => {
    expect(await read([events(delta)], new Error('reset'))).toEqual({
      text: events(delta),
      done: ['settle undefined', 'settled'],
    })
  })
})

test('a stop settles even when nobody reads, and only once', async () => {
  const done: string[] = []
  const stop = new AbortController()
  const settled = Promise.withResolvers<void>()
  const answer = passOn(new ReadableStream<Uint8Array>(), stop, {
    settle: async (usage) => void done.push(`settle ${JSON.stringify(usage)}`),
    settled: async () => {
      done.push('settled')
      settled.resolve()
    },
  })
  stop.abort()
  await settled.promise
  await answer.cancel()
  expect(done).toEqual(['settle undefined', 'settled'])
})
