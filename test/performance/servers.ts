import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What was caught of a delivery that the forge made. */
export interface Caught {
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** Whatever the functions talk to and that is not measured, in one server of the benchmark's own process. */
export interface Elsewhere {
  /** Takes every event and forgets it. */
  readonly brokerUrl: string
  /** Root of a model that says one word to everything. */
  readonly modelUrl: string
  /** Keeps what is sent there. */
  readonly hookUrl: string
  /** Says yes to every sweep. */
  readonly ownersUrl: string
  readonly caught: readonly Caught[]
  close(): void
}

/** Starts it on a free port of the address. */
export async function startElsewhere(host = '127.0.0.1'): Promise<Elsewhere> {
  const caught: Caught[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const path = request.url ?? ''
      if (path.startsWith('/model')) return answerAsModel(response)
      if (path === '/hook') caught.push({ headers: request.headers, body: Buffer.concat(chunks).toString('utf8') })
      return response.writeHead(path.startsWith('/owners') ? 200 : 202).end()
    })
  })
  server.keepAliveTimeout = 60_000
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  const base = `http://${host}:${(server.address() as AddressInfo).port}`
  return {
    brokerUrl: `${base}/broker`,
    modelUrl: `${base}/model/v1`,
    hookUrl: `${base}/hook`,
    ownersUrl: `${base}/owners`,
    caught,
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}

function answerAsModel(response: ServerResponse): void {
  const last = { type: 'response.completed', response: { id: 'r1', usage: { input_tokens: 100, output_tokens: 5 } } }
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.end(`event: ${last.type}\ndata: ${JSON.stringify(last)}\n\n`)
}
