import { createServer } from 'node:net'

const FIRST = 10_000
const LAST = 30_000

/** Each process begins somewhere else and takes no port twice. */
let last = FIRST + ((process.pid * 977) % (LAST - FIRST))

/**
 * A port of the loopback address that is free: the wanted one, or the next of a range below the one from which outgoing
 * connections take theirs, so that none of them can have it by the time it is used. Rejects when the wanted one is in use.
 */
export async function freePort(wanted = 0): Promise<number> {
  if (wanted !== 0) {
    if (await isFree(wanted)) return wanted
    throw new Error(`port ${wanted} is in use`)
  }
  for (;;) {
    last = last < LAST ? last + 1 : FIRST
    const port = last
    if (await isFree(port)) return port
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  const free = await new Promise<boolean>((resolve) => {
    server.once('listening', () => resolve(true))
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1')
  })
  if (free) await new Promise((resolve) => server.close(resolve))
  return free
}
