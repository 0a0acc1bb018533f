import { serve } from '@hono/node-server'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { startBroker, type Broker, type BrokerOptions } from './broker.ts'

/** A request that a function of a test got. */
export interface Received {
  readonly path: string
  readonly headers: Headers
  readonly body: string
}

/** How the function answers its nth request, from 1. */
export type Answering = (request: Received, nth: number) => Response | Promise<Response>

/** 202 without a body: done. */
export const settled = () => new Response(null, { status: 202 })

/** One HTTP server for a test, and what it got. */
export async function startFunction(answer: Answering = settled) {
  const received: Received[] = []
  const fetch = async (request: Request) => {
    const { pathname: path } = new URL(request.url)
    received.push({ path, headers: request.headers, body: await request.text() })
    return answer(received.at(-1) as Received, received.length)
  }
  const server = serve({ fetch, port: 0, hostname: '127.0.0.1' }) as Server
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received }
}

/** A folder of manifests: a broker and what is given. */
export function eventingFolder(...manifests: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'eventing-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const broker = `kind: Broker
metadata: { name: default, annotations: { messaging.knative.dev/async-handler: 'true' } }`
  writeFileSync(join(folder, 'eventing.yaml'), [broker, ...manifests].join('\n---\n'))
  return folder
}

/** A trigger; `spec` is YAML in the flow style. Its events end at `dead`, at /dead-letter. */
export function trigger(name: string, spec = ''): string {
  const sink = 'deadLetterSink: { ref: { kind: Service, name: dead }, uri: /dead-letter }'
  return `kind: Trigger
metadata: { name: ${name} }
spec: {
  subscriber: { ref: { kind: Service, name: ${name} } },
  delivery: { retry: 2, backoffPolicy: exponential, backoffDelay: PT0.2S, ${sink} },
  ${spec} }`
}

/** A broker for a test, with the functions by name; waits between attempts are a hundredth. */
export async function playBroker(
  manifests: readonly string[],
  functions: Readonly<Record<string, { readonly url: string }>>,
  more: Partial<BrokerOptions> = {},
): Promise<Broker> {
  const resolve = (service: string) => functions[service]?.url ?? 'http://127.0.0.1:1'
  const broker = await startBroker({ eventing: eventingFolder(...manifests), resolve, backoffScale: 0.01, ...more })
  onTestFinished(() => broker.stop())
  return broker
}

/** Posts an event in the binary mode; returns the broker's status. */
export async function post(
  broker: Broker,
  extensions: Readonly<Record<string, string>> = {},
  body = '{"n":  1}',
): Promise<number> {
  const attributes = { specversion: '1.0', id: '1', source: '/test', type: 'tested', ...extensions }
  const headers = Object.entries(attributes).map(([name, value]) => [`ce-${name}`, value] as [string, string])
  const response = await fetch(broker.url, {
    method: 'POST',
    headers: [...headers, ['content-type', 'application/json']],
    body,
  })
  return response.status
}
