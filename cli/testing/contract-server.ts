import { serve } from '@hono/node-server'
import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Hono, type Context } from 'hono'
import * as v from 'valibot'
import { onTestFinished } from 'vitest'
import { operations } from '../../api/operations.gen.ts'
import * as schemas from '../../api/schemas.gen.ts'
import type { Answer, OperationId } from '../staff-api.ts'

/** A request as the server got it. */
export interface Seen {
  readonly id: OperationId
  readonly path: Readonly<Record<string, string>>
  readonly query: Readonly<Record<string, string>>
  readonly body: unknown
  readonly host: string
  readonly authorization: string
}

/** What the server says to an operation; a Response is sent as it is. */
export type Says = {
  readonly [Id in OperationId]?: (seen: Seen) => Answer<Id> | Response | Promise<Answer<Id> | Response>
}

/** A server that keeps the contract on both sides: what it is asked and what it says is held against it. */
export interface ContractServer {
  readonly url: string
  readonly port: number
  readonly seen: readonly Seen[]
}

/** Starts one on a port of its own. An answer that breaks the contract is a 500 that says so. */
export async function contractServer(says: Says): Promise<ContractServer> {
  const seen: Seen[] = []
  const app = new Hono()
  for (const id of Object.keys(operations) as OperationId[]) {
    const { method, path } = operations[id]
    app.on(method, path, async (c) => answer(c, id, says, seen))
  }
  app.notFound((c) => c.text('no such operation', 500))
  app.onError((error, c) => c.text(`${error.message}\n`, 500))
  const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }) as Server
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, port, seen }
}

const byName = new Map<string, unknown>(Object.entries(schemas))

async function answer(c: Context, id: OperationId, says: Says, seen: Seen[]): Promise<Response> {
  const { pathSchema, querySchema, bodySchema, bodyRequired } = operations[id]
  const text = await c.req.text()
  const body: unknown = text === '' ? undefined : JSON.parse(text)
  const query = c.req.query()
  if (pathSchema !== undefined) v.parse(pathSchema, c.req.param())
  if (querySchema !== undefined) v.parse(querySchema, numbered(query))
  if (bodySchema === undefined ? body !== undefined : body !== undefined || bodyRequired) v.parse(bodySchema!, body)
  const one = {
    id,
    path: c.req.param() as Record<string, string>,
    query,
    body,
    host: c.req.header('host') ?? '',
    authorization: c.req.header('authorization') ?? '',
  }
  seen.push(one)
  const say = says[id] as ((seen: Seen) => unknown) | undefined
  if (say === undefined) return problemOf(404, 'not_found', `no answer to ${id} in this test`)
  const said = await say(one)
  if (said instanceof Response) return said
  const answerSchema = byName.get(`v${id[0]?.toUpperCase()}${id.slice(1)}Response`) as v.GenericSchema
  return c.json(v.parse(answerSchema, said) as object)
}

const numbered = (query: Readonly<Record<string, string>>) =>
  Object.fromEntries(
    Object.entries(query).map(([name, value]) => [name, ['limit', 'number'].includes(name) ? Number(value) : value]),
  )

/** A problem document, as the contract has them. */
export function problemOf(
  status: number,
  code: string,
  title: string,
  detail?: string,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return Response.json(
    { type: `urn:codex-k8s:${code}`, title, status, code, detail },
    { status, headers: { ...headers, 'content-type': 'application/problem+json' } },
  )
}
