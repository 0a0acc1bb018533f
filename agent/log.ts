import { StringDecoder } from 'node:string_decoder'

const HALF = 512 * 1024
const MAX_LINE = 1024 * 1024

/** What a run printed, without its tokens, at most 1 MiB: the head and the tail are kept. */
export interface RunLog {
  add(line: string): void
  text(): string
}

/** Takes every occurrence of the secrets out of a text. */
export type Redact = (text: string) => string

/** A function that takes the given secrets out of any text. */
export function redactor(secrets: readonly string[]): Redact {
  return (text) => secrets.reduce((rest, secret) => rest.replaceAll(secret, '[token]'), text)
}

/** An empty log. */
export function runLog(redact: Redact): RunLog {
  let head = ''
  let tail: string[] = []
  let tailSize = 0
  let dropped = 0
  return {
    add(line) {
      const text = `${redact(line)}\n`
      if (tailSize === 0 && head.length + text.length <= HALF) {
        head += text
        return
      }
      tail.push(text.slice(-HALF))
      tailSize += Math.min(text.length, HALF)
      dropped += Math.max(text.length - HALF, 0)
      while (tailSize > HALF) {
        const oldest = tail.shift() ?? ''
        tailSize -= oldest.length
        dropped += oldest.length
      }
    },
    text() {
      return dropped === 0 ? head + tail.join('') : `${head}[${dropped} characters left out]\n${tail.join('')}`
    },
  }
}

/** Calls `take` for each line of a stream of bytes. What a line has beyond 1 MiB is dropped, so memory stays bounded. */
export function lineSplitter(take: (line: string) => void): { write(bytes: Buffer): void; end(): void } {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  const feed = (text: string): void => {
    const lines = text.split('\n')
    const last = lines.pop() ?? ''
    for (const line of lines) {
      take((rest + line).slice(0, MAX_LINE))
      rest = ''
    }
    rest = (rest + last).slice(0, MAX_LINE)
  }
  return {
    write: (bytes) => feed(decoder.write(bytes)),
    end() {
      feed(decoder.end())
      if (rest !== '') take(rest)
    },
  }
}
