import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { pipeline } from 'node:stream'
import * as v from 'valibot'
import { BaseUrl, Port, readEnv } from '#shared/env.ts'

// The unit `run-door`: a pod that hands on what agents ask to run-gateway and model-gateway, and nothing to anybody else. It knows no
// token and keeps nothing. deploy/overlays/run-door has its manifests, ADR 0048 says who wants it.
//
//   RUN_GATEWAY_URL, MODEL_GATEWAY_URL   where the gateways are
//   PORT, MODEL_PORT                     where it listens for the one and for the other; default 8080 and 8081

const env = readEnv(
  v.object({
    RUN_GATEWAY_URL: BaseUrl,
    MODEL_GATEWAY_URL: BaseUrl,
    PORT: Port,
    MODEL_PORT: v.optional(Port, '8081'),
  }),
)

/** What the gateways read. Host is theirs; anything else could mean something to whoever is in between. */
const handedOn = [
  'accept',
  'authorization',
  'content-encoding',
  'content-length',
  'content-type',
  'git-protocol',
  'user-agent',
]
/** What is said about a connection is not said about the next one. */
const ofConnection = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'trailer'])

const servers = [door(env.RUN_GATEWAY_URL, env.PORT), door(env.MODEL_GATEWAY_URL, env.MODEL_PORT)]
process.once('SIGTERM', () => {
  for (const server of servers) server.close()
})

function door(gateway: string, port: number): Server {
  const { hostname, port: gatewayPort } = new URL(gateway)
  const server = createServer((incoming, outgoing) => {
    if (incoming.url === '/healthz') return void outgoing.end('ok')
    // `http://elsewhere/` is a request to a proxy.
    if (!incoming.url?.startsWith('/')) return refuse(outgoing, 400)
    const asked = request({
      hostname,
      port: gatewayPort || 80,
      method: incoming.method,
      path: incoming.url,
      headers: headersOf(incoming),
    })
    asked.once('error', () => refuse(outgoing, 502))
    asked.once('response', (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, returned(answer))
      pipeline(answer, outgoing, () => asked.destroy())
    })
    pipeline(incoming, asked, () => {})
    outgoing.once('close', () => asked.destroy())
  })
  return server.listen(port)
}

function headersOf({ headers }: IncomingMessage): Record<string, string> {
  return Object.fromEntries(
    handedOn.flatMap((name) => (headers[name] === undefined ? [] : [[name, String(headers[name])]])),
  )
}

function returned({ headers }: IncomingMessage): Record<string, string | string[]> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined || ofConnection.has(name) ? [] : [[name, value]],
    ),
  )
}

/** 502 is what an agent repeats. */
function refuse(outgoing: ServerResponse, status: 400 | 502): void {
  if (outgoing.headersSent) outgoing.destroy()
  else outgoing.writeHead(status).end()
}
