import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import type { SignedBody } from './corpus.ts'
import { quantile } from './figures.ts'

/** How a load is sent. Always bounded in time. */
export interface Load {
  readonly url: string
  readonly connections: number
  readonly seconds: number
  /** Deliveries per second whatever the answers do; without it each connection sends when it has its answer. */
  readonly rate?: number
}

/** What a load of this machine is told, as JSON in LOAD: always to the loopback address. */
export interface LoadOptions extends Load {
  /** File of signed bodies. */
  readonly corpus: string
}

/** What it saw, milliseconds. With a rate the time counts from when a delivery was due, so that a stall is not forgiven. */
export interface LoadResult {
  readonly sent: number
  readonly accepted: number
  readonly seconds: number
  readonly p50: number
  readonly p99: number
  readonly worst: number
  readonly refused: Readonly<Record<string, number>>
}

if (import.meta.main) {
  const { corpus, ...load } = JSON.parse(process.env['LOAD'] ?? '{}') as LoadOptions
  if (new URL(load.url).hostname !== '127.0.0.1') throw new Error('loads go to this machine only')
  const bodies = JSON.parse(readFileSync(corpus, 'utf8')) as SignedBody[]
  process.stdout.write(`${JSON.stringify(await sendLoad(load, bodies))}\n`)
}

/** Sends the bodies over and over, each time as another delivery, and counts the answers. */
export async function sendLoad(
  { url, connections, seconds, rate }: Load,
  bodies: readonly SignedBody[],
): Promise<LoadResult> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections, scheduling: 'fifo' })
  const times: number[] = []
  const refused: Record<string, number> = {}
  let sent = 0
  let accepted = 0

  const deliver = (since: number) =>
    new Promise<void>((resolve) => {
      const { event, body, signature } = bodies[sent % bodies.length] as SignedBody
      sent += 1
      let outcome = 'cut off'
      const done = (status: string) => {
        times.push(performance.now() - since)
        if (status.startsWith('2')) accepted += 1
        else refused[status] = (refused[status] ?? 0) + 1
        resolve()
      }
      const headers = {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        'x-github-event': event,
        'x-github-delivery': randomUUID(),
        'x-hub-signature-256': signature,
      }
      const asked = request(url, { method: 'POST', agent, headers, timeout: 15_000 }, (response) => {
        response.resume().once('end', () => (outcome = String(response.statusCode)))
      })
      asked.once('timeout', () => asked.destroy(new Error('timeout')))
      asked.once('error', (error: NodeJS.ErrnoException) => (outcome = error.code ?? error.message))
      asked.once('close', () => done(outcome))
      asked.end(body)
    })

  const began = performance.now()
  const end = began + seconds * 1_000
  if (rate === undefined) {
    const connection = async () => {
      while (performance.now() < end) await deliver(performance.now())
    }
    await Promise.all(Array.from({ length: connections }, connection))
  } else {
    const all: Promise<void>[] = []
    for (let now = began; now < end; now = performance.now()) {
      while (all.length < ((now - began) / 1_000) * rate) all.push(deliver(began + (all.length / rate) * 1_000))
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    await Promise.all(all)
  }
  const took = (performance.now() - began) / 1_000
  agent.destroy()
  times.sort((a, b) => a - b)
  const [p50, p99, worst] = [0.5, 0.99, 1].map((q) => quantile(times, q)) as [number, number, number]
  return { sent, accepted, seconds: took, p50, p99, worst, refused }
}
