import { randomUUID } from 'node:crypto'
import { Agent, request } from 'node:http'

/** An address of this machine. */
export type Address = '127.0.0.1' | '127.0.0.2'

/** A delivery as a forge would send it. */
export interface Sent {
  readonly path: string
  readonly body: string
  readonly signature: string
  readonly from: Address
}

/** What came back: the status, 0 for none, and after how many milliseconds. */
export interface Answer {
  readonly status: number
  readonly ms: number
}

/** Sends deliveries over kept connections, at most 200 from each address. */
export function sender(port: number): ((sent: Sent) => Promise<Answer>) & { close(): void } {
  const agentOf = (localAddress: Address) => new Agent({ keepAlive: true, maxSockets: 200, localAddress })
  const agents = { '127.0.0.1': agentOf('127.0.0.1'), '127.0.0.2': agentOf('127.0.0.2') }
  const send = ({ path, body, signature, from }: Sent): Promise<Answer> =>
    new Promise((resolve) => {
      const began = performance.now()
      const end = (status: number) => resolve({ status, ms: performance.now() - began })
      const headers = {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        'x-github-event': 'watch',
        'x-github-delivery': randomUUID(),
        'x-hub-signature-256': signature,
      }
      const options = { host: '127.0.0.1', port, path, method: 'POST', headers, agent: agents[from] }
      const asked = request(options, (response) => {
        response.resume().once('end', () => end(response.statusCode ?? 0))
      })
      asked.once('error', () => end(0))
      asked.end(body)
    })
  return Object.assign(send, {
    close() {
      for (const agent of Object.values(agents)) agent.destroy()
    },
  })
}
