import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

/** A request as the provider received it. */
export interface Received {
  readonly url: string | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: Record<string, unknown>
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>
}

/** A scripted provider of models. */
export interface Provider {
  readonly url: string
  readonly received: Received[]
}

/** Starts one; it answers each request as told and ends with the test. */
export async function startProvider(answer: (response: ServerResponse, request: Received) => void): Promise<Provider> {
  const received: Received[] = []
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = []
    const closed = new Promise<void>((resolve) => response.once('close', resolve))
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      const body = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>
      const request = { url: incoming.url, headers: incoming.headers, body, closed }
      received.push(request)
      answer(response, request)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, received }
}

/** Where nobody listens. */
export async function nowhere(): Promise<string> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return `http://127.0.0.1:${port}/v1`
}

/** Server-sent events as the Responses API writes them. */
export function events(...all: readonly { readonly type: string; readonly [name: string]: unknown }[]): string {
  return all.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join('')
}

/** The last event of an answer. */
export function completed(input: number, output: number) {
  return {
    type: 'response.completed',
    response: { id: 'r1', usage: { input_tokens: input, output_tokens: output, total_tokens: input + output } },
  }
}

/** Answers with these items and this usage. */
export function answerWith(items: readonly object[], input = 100, output = 50) {
  return (response: ServerResponse): void => {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'x-request-id': 'secret-of-the-provider' })
    const done = items.map((item, index) => ({ type: 'response.output_item.done', output_index: index, item }))
    response.end(events({ type: 'response.created', response: { id: 'r1' } }, ...done, completed(input, output)))
  }
}

/** Answers with a status and a JSON body. */
export function refuseWith(status: number, body: object = {}, headers: Record<string, string> = {}) {
  return (response: ServerResponse): void => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
  }
}

/** Begins every answer; the test has the open ones and says how they end. */
export function held(): { readonly open: ServerResponse[]; readonly answer: (response: ServerResponse) => void } {
  const open: ServerResponse[] = []
  const answer = (response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write(events({ type: 'response.created' }))
    open.push(response)
  }
  return { open, answer }
}
