import { serve } from '@hono/node-server'
import { once } from 'node:events'
import type { IncomingMessage, Server } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { Hono } from 'hono'
import { onTestFinished } from 'vitest'
import { WebSocketServer, type WebSocket } from 'ws'

/** As much of a Kubernetes API server as the tool asks for, over real HTTP and WebSockets. */
export interface FakeCluster {
  readonly url: string
  /** Requests, as `METHOD path`. */
  readonly seen: readonly string[]
  /** The Secret of the hooks: absent, or its keys; values in base64. */
  hooks: { data?: Record<string, string> } | undefined
  /** Bodies of TokenRequests. */
  readonly tokens: readonly object[]
}

/** What is different from a cluster where everything is in order. */
export interface Trouble {
  /** Paths that are answered 403. */
  readonly forbidden?: RegExp
  /** Whether staff-api is Ready. */
  readonly ready?: boolean
  /** Knative's word for its private ingress. */
  readonly domain?: string
  readonly notReady?: string
}

/** Port of the ingress pod, which stands for the staff API's address. */
const POD_PORT = 8081

/** Starts one; ports forwarded to its ingress pod lead to `staffPort` of this machine. */
export async function fakeCluster(staffPort: number, trouble: Trouble = {}): Promise<FakeCluster> {
  const seen: string[] = []
  const tokens: object[] = []
  const app = new Hono()
  const namespace = '/namespaces/codex-k8s'
  app.use(async (c, next) => {
    seen.push(`${c.req.method} ${c.req.path}`)
    if (trouble.forbidden?.test(c.req.path))
      return c.json(status(403, `${c.req.path} is forbidden: User "me" cannot do that`), 403)
    return next()
  })
  const ready = (name: string) => ({
    metadata: { name },
    status: {
      address: { url: `http://${name}.codex-k8s.svc.cluster.local` },
      conditions: [
        {
          type: 'Ready',
          ...(trouble.notReady === name ? { status: 'False', message: 'it crashes' } : { status: 'True' }),
        },
      ],
    },
  })
  const knative = '/apis/serving.knative.dev/v1' + namespace
  app.get(`${knative}/services/staff-api`, (c) => c.json(ready('staff-api')))
  app.get(`${knative}/services`, (c) => c.json({ items: ['staff-api', 'label-router'].map(ready) }))
  app.get(`/apis/eventing.knative.dev/v1${namespace}/:kind`, (c) => c.json({ items: [ready('default')] }))
  app.get(`/apis/sources.knative.dev/v1${namespace}/pingsources`, (c) => c.json({ items: [ready('reconciler')] }))
  app.get(`/apis/networking.internal.knative.dev/v1alpha1${namespace}/ingresses/staff-api`, (c) => {
    const domainInternal = trouble.domain ?? 'kourier-internal.kourier-system.svc.cluster.local'
    return c.json({ status: { privateLoadBalancer: { ingress: [{ domainInternal }] } } })
  })
  const ingress = '/namespaces/kourier-system'
  app.get(`/api/v1${ingress}/services/kourier-internal`, (c) =>
    c.json({
      spec: {
        ports: [
          { name: 'https', port: 443 },
          { name: 'http2', port: 80, targetPort: POD_PORT },
        ],
      },
    }),
  )
  app.get(`/apis/discovery.k8s.io/v1${ingress}/endpointslices`, (c) => {
    const endpoint = (name: string, isReady: boolean) => ({
      addresses: ['10.0.0.1'],
      conditions: { ready: isReady },
      targetRef: { kind: 'Pod', name, namespace: 'kourier-system' },
    })
    const ports = [
      { name: 'https', port: 8444 },
      { name: 'http2', port: POD_PORT },
    ]
    const slice = { addressType: 'IPv4', ports, endpoints: [endpoint('starting', false), endpoint('gateway', true)] }
    return c.json({ items: [slice] })
  })
  app.post('/api/v1/namespaces/:namespace/serviceaccounts/:name/token', async (c) => {
    tokens.push({ of: `${c.req.param('namespace')}/${c.req.param('name')}`, ...(await c.req.json<object>()) })
    return c.json({ status: { token: `made-for-${c.req.param('name')}`, expirationTimestamp: '2026-01-01T00:00:00Z' } })
  })
  app.patch(`/api/v1${namespace}/secrets/codex-k8s-hooks`, async (c) => {
    const { hooks } = self
    if (hooks === undefined) return c.json(status(404, 'secrets "codex-k8s-hooks" not found'), 404)
    if (c.req.header('content-type') !== 'application/json-patch+json') return c.json(status(415, 'no JSON patch'), 415)
    const failed = (await c.req.json<Patch[]>()).some((patch) => !applied(hooks, patch))
    if (failed) return c.json(status(422, 'the server rejected our request due to an error in our request'), 422)
    if (!c.req.header('accept')?.includes('PartialObjectMetadata'))
      return c.json(status(500, 'the answer would hold secrets'), 500)
    return c.json({ kind: 'PartialObjectMetadata', metadata: { name: 'codex-k8s-hooks' } })
  })
  app.notFound((c) => c.json(status(404, 'the server could not find the requested resource'), 404))

  const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }) as Server
  await once(server, 'listening')
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => 'v4.channel.k8s.io' })
  server.on('upgrade', (request: IncomingMessage, socket, head) => {
    seen.push(`UPGRADE ${request.url}`)
    const wanted = `/api/v1${ingress}/pods/gateway/portforward?ports=${POD_PORT}`
    if (request.url !== wanted || trouble.forbidden?.test(request.url))
      return void socket.end('HTTP/1.1 403 Forbidden\r\nconnection: close\r\n\r\n')
    sockets.handleUpgrade(request, socket, head, (opened) => join(opened, staffPort))
  })
  onTestFinished(() => {
    sockets.clients.forEach((client) => client.terminate())
    server.close()
    server.closeAllConnections()
  })
  const self: FakeCluster = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    tokens,
    hooks: {},
  }
  return self
}

/** Channel 0 is data, channel 1 errors; the first frame of each is the port. */
function join(socket: WebSocket, port: number): void {
  const announced = Buffer.alloc(3)
  announced.writeUInt16LE(POD_PORT, 1)
  socket.send(announced)
  announced.writeUInt8(1, 0)
  socket.send(announced)
  const pod = connect(port, '127.0.0.1')
  socket.on('message', (frame: Buffer) => pod.write(frame.subarray(1))).on('close', () => pod.destroy())
  pod
    .on('data', (bytes) => socket.send(Buffer.concat([Buffer.from([0]), bytes])))
    .on('close', () => socket.close())
    .on('error', () => socket.close())
}

interface Patch {
  readonly op: 'test' | 'add' | 'remove'
  readonly path: string
  readonly value?: unknown
}

/** One operation of a JSON patch, as the API server does it. */
function applied(secret: { data?: Record<string, string> }, { op, path, value }: Patch): boolean {
  const [, , key] = path.split('/')
  const there = key === undefined ? secret.data : secret.data?.[key]
  if (op === 'test') return (there ?? null) === value
  if (op === 'remove') return key !== undefined && there !== undefined && delete secret.data?.[key]
  if (key === undefined) {
    // The real one keeps no empty map.
    if (Object.keys(value as object).length > 0) secret.data = value as Record<string, string>
  } else if (secret.data === undefined) return false
  else secret.data[key] = value as string
  return true
}

const status = (code: number, message: string) => ({ kind: 'Status', status: 'Failure', code, message })
