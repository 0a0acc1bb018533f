import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

/** A model that says one word to everything. Returns the root of its API and how often it was asked. */
export async function startModel(): Promise<{ readonly url: string; asked(): number }> {
  let asked = 0
  const server = createServer((request, response) => {
    asked += 1
    request.resume().on('end', () => {
      const last = {
        type: 'response.completed',
        response: { id: 'r1', usage: { input_tokens: 100, output_tokens: 5 } },
      }
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.end(`event: ${last.type}\ndata: ${JSON.stringify(last)}\n\n`)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, asked: () => asked }
}
