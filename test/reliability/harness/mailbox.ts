import { createHmac, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A webhook on its way to us. */
export interface Delivery {
  readonly guid: string
  readonly event: string
  readonly body: string
  readonly signature: string
  /** Path of the hook at the gateway. */
  readonly path: string
}

/** How deliveries are made worse than the forge made them. Shares from 0 to 1. */
export interface Disorder {
  /** The same delivery again, under its own id. */
  readonly duplicates: number
  /** The same signed body under another id. */
  readonly newIds: number
  /** Comes up to three seconds later, after what was sent after it. */
  readonly reordered: number
}

/** Where the forge's deliveries wait for the sender, no longer in their order. */
export interface Mailbox {
  readonly url: string
  /** When what the forge delivers from now on is to be sent: after so many milliseconds, all of one issue together. */
  delay(ms: number): void
  offer(delivery: Delivery): void
  /** The one that has waited longest of those whose time has come. */
  take(hurry: boolean): Delivery | undefined
  /** Comes again, after so many milliseconds. */
  again(delivery: Delivery, afterMs: number): void
  readonly waiting: number
  close(): Promise<void>
}

const REORDERED_MS = 3_000
const REPEATED_MS = 6_000

/** Starts the address that the forge's hooks deliver to; each delivery is taken in and answered at once. */
export async function startMailbox(random: () => number, disorder: Disorder): Promise<Mailbox> {
  let waiting: { readonly at: number; readonly delivery: Delivery }[] = []
  let delayMs = 0
  const put = (delivery: Delivery, at: number) => {
    const after = waiting.findLastIndex((each) => each.at <= at)
    waiting.splice(after + 1, 0, { at, delivery })
  }
  const offer = (delivery: Delivery) => {
    const at = performance.now() + delayMs
    put(delivery, at + (random() < disorder.reordered ? random() * REORDERED_MS : 0))
    if (random() < disorder.duplicates) put(delivery, at + random() * REPEATED_MS)
    if (random() < disorder.newIds) put({ ...delivery, guid: randomUUID() }, at + random() * REPEATED_MS)
  }
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const header = (name: string) => String(request.headers[name] ?? '')
      offer({
        guid: header('x-github-delivery'),
        event: header('x-github-event'),
        signature: header('x-hub-signature-256'),
        body: Buffer.concat(chunks).toString('utf8'),
        path: request.url ?? '/',
      })
      response.writeHead(200).end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    delay: (ms) => void (delayMs = ms),
    offer,
    take(hurry) {
      const [first] = waiting
      return first !== undefined && (hurry || first.at <= performance.now()) ? waiting.shift()?.delivery : undefined
    },
    again: (delivery, afterMs) => put(delivery, performance.now() + afterMs),
    get waiting() {
      return waiting.length
    },
    async close() {
      waiting = []
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

/** A delivery that the forge did not make, signed as it would have been. */
export function signed(event: string, body: string, hook: { hookPath: string; secret: string }): Delivery {
  const signature = `sha256=${createHmac('sha256', hook.secret).update(body).digest('hex')}`
  return { guid: randomUUID(), event, body, signature, path: hook.hookPath }
}
