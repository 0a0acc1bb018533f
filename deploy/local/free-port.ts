import { createServer, type AddressInfo } from 'node:net'

/** The port if it is free, or any free one for 0. Rejects when it is in use. */
export async function freePort(wanted = 0): Promise<number> {
  const server = createServer()
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(new Error(`port ${wanted} is in use`, { cause: error })))
    server.listen(wanted, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}
