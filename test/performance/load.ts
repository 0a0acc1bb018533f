import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import type { SignedBody } from './corpus.ts'
import { quantile } from './figures.ts'

/** What a load is told, as JSON in LOAD. Always bounded in time, and to the loopback address. */
export interface LoadOptions {
  readonly url: string
  readonly corpus: string
  readonly connections: number
  readonly seconds: number
  /** Deliveries per second whatever the answers do; without it each connection sends when it has its answer. */
  readonly rate?: number
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
  const options = JSON.parse(process.env['LOAD'] ?? '{}') as LoadOptions
  process.stdout.write(`${JSON.stringify(await run(options))}\n`)
}

async function run({ url, corpus, connections, seconds, rate }: LoadOptions): Promise<LoadResult> {
  if (new URL(url).hostname !== '127.0.0.1') throw new Error('loads go to this machine only')
  const bodies = JSON.parse(readFileSync(corpus, 'utf8')) as SignedBody[]
  const agent = new Agent({ keepAlive: true, maxSockets: connections, scheduling: 'fifo' })
  const times: number[] = []
  const refused: Record<string, number> = {}
  let sent = 0
  let accepted = 0

  const deliver = (since: number) =>
    new Promise<void>((resolve) => {
      const { event, body, signature } = bodies[sent % bodies.length] as SignedBody
      sent += 1
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
        response.resume().once('end', () => done(String(response.statusCode)))
      })
      asked.once('timeout', () => asked.destroy(new Error('timeout')))
      asked.once('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message))
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
