import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** What is wrong with a wire. `halfOpen`: both ends believe in the connection and nothing arrives. */
export type WireFault =
  | { readonly kind: 'none' }
  | { readonly kind: 'down' }
  | { readonly kind: 'halfOpen' }
  | { readonly kind: 'latency'; readonly ms: number }
  | { readonly kind: 'bandwidth'; readonly bytesPerSecond: number }
  | { readonly kind: 'slices'; readonly bytes: number }

/** A TCP connection through us to somewhere else, with which things can go wrong. */
export interface Wire {
  readonly port: number
  /** From now on, also for what is connected already. */
  set(fault: WireFault): void
  /** What is connected now is half open for good; new connections are whole: a firewall that forgot them. */
  forget(): void
  /** Resets every connection that is open now. */
  reset(): void
  close(): Promise<void>
}

/** A wire from a port of the loopback address to another one. */
export async function startWire(target: number, port = 0): Promise<Wire> {
  const sockets = new Set<Socket>()
  const forgotten = new WeakSet<Socket>()
  let fault: WireFault = { kind: 'none' }
  const pass = async (chunk: Buffer, to: Socket) => {
    if (forgotten.has(to)) return undefined
    switch (fault.kind) {
      case 'none':
      case 'down':
        return void to.write(chunk)
      case 'halfOpen':
        return undefined
      case 'latency':
        await sleep(fault.ms)
        return void to.write(chunk)
      case 'bandwidth':
        await sleep((chunk.length / fault.bytesPerSecond) * 1_000)
        return void to.write(chunk)
      case 'slices':
        for (let at = 0; at < chunk.length; at += fault.bytes) {
          to.write(chunk.subarray(at, at + fault.bytes))
          // A turn of the loop, so that each slice is a packet of its own.
          await new Promise(setImmediate)
        }
    }
  }
  const join = (from: Socket, to: Socket) => {
    // One after the other: a stream stays in order however long a chunk takes.
    let before = Promise.resolve()
    from.on('data', (chunk: Buffer) => void (before = before.then(() => pass(chunk, to))))
    from.on('close', () => to.destroy())
    from.on('error', () => {})
  }
  const reset = () => {
    for (const socket of sockets) socket.resetAndDestroy()
  }
  const server = createServer((client) => {
    if (fault.kind === 'down') return void client.resetAndDestroy()
    const upstream = connect(target, '127.0.0.1')
    for (const socket of [client, upstream]) {
      sockets.add(socket.setNoDelay(true))
      socket.on('close', () => sockets.delete(socket))
    }
    join(client, upstream)
    join(upstream, client)
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    set(next) {
      // What was swallowed is gone for good: no end of such a connection may go on talking.
      if (fault.kind === 'halfOpen' || next.kind === 'down') reset()
      fault = next
    },
    forget: () => sockets.forEach((socket) => forgotten.add(socket)),
    reset,
    async close() {
      reset()
      server.close()
      await once(server, 'close')
    },
  }
}
