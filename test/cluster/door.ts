import { once } from 'node:events'
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { list, portForward } from './kubectl.ts'

/** A delivery that went through the door, and how the platform answered. */
export interface Passed {
  readonly event: string
  readonly delivery: string
  readonly status: number
  readonly body: string
  readonly milliseconds: number
}

/** What stands between the forge and the cluster: it hands on bytes and headers as they are, to the function's own host. */
export interface Door {
  readonly url: string
  readonly passed: readonly Passed[]
  /** Posts something of one's own. */
  send(path: string, headers: Readonly<Record<string, string>>, body: Buffer): Promise<Passed>
  stop(): void
}

const usual = [
  'knative-serving/ingress',
  'kourier-system/kourier',
  'istio-system/istio-ingressgateway',
  'contour-external/envoy',
]

/** The Service of the cluster's ingress, NAMESPACE/SERVICE. */
export async function findIngress(): Promise<string> {
  const services = (await list('services')).map(({ metadata }) => `${metadata.namespace}/${metadata.name}`)
  const ingress = process.env['INGRESS'] ?? usual.find((name) => services.includes(name))
  if (ingress === undefined) throw new Error("Knative's ingress is not found: set INGRESS=NAMESPACE/SERVICE")
  return ingress
}

/** Opens a door to the public URL of a Knative Service, through the cluster's ingress. */
export async function openDoor(serviceUrl: string): Promise<Door> {
  const [namespace = '', service = ''] = (await findIngress()).split('/')
  const forward = await portForward(namespace, `service/${service}`, 80)
  const { host } = new URL(serviceUrl)
  const passed: Passed[] = []

  const send: Door['send'] = async (path, headers, body) => {
    const since = performance.now()
    // Not fetch, which lets nobody choose the Host header.
    const outgoing = request({
      host: '127.0.0.1',
      port: forward.port,
      method: 'POST',
      path,
      headers: { ...headers, host },
    })
    outgoing.end(body)
    const [answer] = (await once(outgoing, 'response')) as [IncomingMessage]
    const said = (await buffer(answer)).toString()
    const entry = {
      event: headers['x-github-event'] ?? '',
      delivery: headers['x-github-delivery'] ?? '',
      status: answer.statusCode ?? 0,
      body: said,
      milliseconds: Math.round(performance.now() - since),
    }
    passed.push(entry)
    return entry
  }

  const pass = async (incoming: IncomingMessage, response: ServerResponse) => {
    const { connection: _, 'transfer-encoding': __, ...headers } = incoming.headers as Record<string, string>
    try {
      const { status, body } = await send(incoming.url ?? '/', headers, await buffer(incoming))
      response.writeHead(status).end(body)
    } catch (error) {
      response.writeHead(502).end(String(error))
    }
  }
  const server = createServer((incoming, response) => void pass(incoming, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    passed,
    send,
    stop() {
      server.close()
      server.closeAllConnections()
      forward.stop()
    },
  }
}
