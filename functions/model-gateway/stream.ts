import * as v from 'valibot'

const Count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))

/** The last event of an answer. Without usage nobody knows what it cost. */
const LastEvent = v.object({
  type: v.picklist(['response.completed', 'response.incomplete', 'response.failed']),
  response: v.fallback(v.object({ usage: v.nullish(v.object({ input_tokens: Count, output_tokens: Count })) }), {}),
})

/** What the provider says an answer cost. */
export interface Usage {
  readonly inputTokens: number
  readonly outputTokens: number
}

/** What is done at the end of an answer, each once; neither rejects. */
export interface Ending {
  /** With what the provider counted, before the last event is passed on: the CLI asks again as soon as it has that. */
  readonly settle: (usage: Usage | undefined) => Promise<void>
  /** Before the answer is closed: until then the platform counts a request and keeps the pod. */
  readonly settled: () => Promise<void>
}

/** Largest event, characters. The last one repeats the whole answer, the tools and the instructions. */
const MAX_EVENT = 16 * 1024 * 1024

/**
 * Passes server-sent events on, one whole event at a time, and reads the usage on the way. An answer without its last
 * event, cut by whichever side, ends like any other: the CLI sees that the event is missing and asks again.
 */
export function passOn(
  upstream: ReadableStream<Uint8Array>,
  stop: AbortController,
  { settle, settled }: Ending,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  const events = splitEvents(upstream)
  let ending: Promise<void> | undefined
  let closing: Promise<void> | undefined
  const end = (usage: Usage | undefined) => (ending ??= settle(usage))
  const close = () => (closing ??= settled())
  // Whoever stops it, even while nobody reads: the client, the time limit, a reservation that is no longer ours.
  const cut = () => end(undefined).then(close)
  stop.signal.addEventListener('abort', () => void cut(), { once: true })

  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const next = await events.next().catch(() => undefined)
        const event = stop.signal.aborted ? undefined : next?.value
        const last = event === undefined ? undefined : lastEvent(event)
        if (event === undefined || last !== undefined) await end(last?.usage)
        if (event !== undefined) ignoreClosed(() => controller.enqueue(encoder.encode(event)))
        if (event !== undefined && last === undefined) return
        await close()
        ignoreClosed(() => controller.close())
        await events.return(undefined).catch(() => undefined)
      },
      cancel() {
        stop.abort()
        return cut()
      },
    },
    { highWaterMark: 0 },
  )
}

/** The usage an event reports, if it is the last one of an answer. */
function lastEvent(event: string): { readonly usage: Usage | undefined } | undefined {
  if (!/response\.(?:completed|incomplete|failed)/.test(event)) return undefined
  const data = event
    .split(/\r?\n/)
    .filter((line) => line.startsWith('data:'))
    .map((line) => line.slice('data:'.length))
    .join('\n')
  const parsed = v.safeParse(LastEvent, parseJson(data))
  if (!parsed.success) return undefined
  const { usage } = parsed.output.response
  return { usage: usage == null ? undefined : { inputTokens: usage.input_tokens, outputTokens: usage.output_tokens } }
}

async function* splitEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of body) {
    let from = Math.max(0, rest.length - 3)
    rest += decoder.decode(chunk, { stream: true })
    for (let end = endOfEvent(rest, from); end > 0; end = endOfEvent(rest, from)) {
      yield rest.slice(0, end)
      rest = rest.slice(end)
      from = 0
    }
    if (rest.length > MAX_EVENT) throw new RangeError('an event of the provider is too large')
  }
  // Some servers leave out the blank line after the last event.
  if (rest.trim() !== '') yield `${rest}\n\n`
  return undefined
}

/** Index after the blank line that ends the first event, 0 if there is none yet. */
function endOfEvent(text: string, from: number): number {
  const blank = /\r?\n\r?\n/g
  blank.lastIndex = from
  return blank.test(text) ? blank.lastIndex : 0
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** A client that went away has closed the stream for us. */
function ignoreClosed(act: () => void): void {
  try {
    act()
  } catch {
    // Closed.
  }
}
