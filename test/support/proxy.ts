import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/** When a connection ends: after so many bytes of one side, or as soon as a side has said something. */
export interface Cut {
  readonly side: 'client' | 'server'
  /** Bytes of that side that still get through, counted over all connections. */
  readonly afterBytes: number
}

/** A wire between a client and a server. */
export interface Proxy {
  readonly url: string
  /** What got through or was to get through, in bytes. */
  readonly bytes: { client: number; server: number }
  /** What the client has said so far, one character for a byte. */
  heard(): string
}

/** A TCP proxy in front of a URL's host. At the cut every connection is reset and none is accepted any more. */
export async function startProxy(target: string, cut?: Cut): Promise<Proxy> {
  const { hostname, port } = new URL(target)
  const bytes = { client: 0, server: 0 }
  const heard: Buffer[] = []
  const sockets = new Set<Socket>()
  let dead = false
  const end = () => {
    dead = true
    for (const socket of sockets) socket.resetAndDestroy()
  }
  const pass = (side: 'client' | 'server', from: Socket, to: Socket) => {
    from.on('data', (chunk: Buffer) => {
      const before = bytes[side]
      bytes[side] += chunk.length
      if (side === 'client') heard.push(chunk)
      if (cut?.side !== side || bytes[side] < cut.afterBytes) return void to.write(chunk)
      // What comes before the cut still arrives, and is acted upon.
      to.write(chunk.subarray(0, cut.afterBytes - before), () => setImmediate(end))
      from.pause()
    })
  }
  const server = createServer((client) => {
    if (dead) return void client.resetAndDestroy()
    const upstream = connect(Number(port), hostname)
    for (const socket of [client, upstream]) sockets.add(socket.on('error', () => {}))
    pass('client', client, upstream)
    pass('server', upstream, client)
    client.on('close', () => upstream.destroy())
    upstream.on('close', () => client.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    end()
    server.close()
  })
  const url = new URL(target)
  url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return { url: url.href, bytes, heard: () => Buffer.concat(heard).toString('latin1') }
}
