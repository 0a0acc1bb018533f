import { BlockList, createServer, type AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import { list } from './kubectl.ts'

/** The address of this machine that pods reach: the one in the network of a node. */
export async function hostAddress(): Promise<string> {
  const given = process.env['HOST_ADDRESS']
  if (given !== undefined) return given
  const nodes = (await list('nodes')).flatMap(({ status }) => status?.addresses ?? []).map(({ address }) => address)
  const own = Object.values(networkInterfaces()).flatMap((each) => each ?? [])
  const shared = own.find(({ family, cidr, internal }) => {
    if (family !== 'IPv4' || cidr === null || internal) return false
    const [network = '', bits] = cidr.split('/')
    const block = new BlockList()
    block.addSubnet(network, Number(bits))
    return nodes.some((node) => /^[\d.]+$/.test(node) && block.check(node))
  })
  if (shared === undefined)
    throw new Error('pods cannot reach this machine: it is in no network of a node; set HOST_ADDRESS')
  return shared.address
}

/** A port that is free on the address right now. */
export async function freePort(address: string): Promise<number> {
  const server = createServer().listen(0, address)
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
