import http from 'node:http'
import https from 'node:https'
import { Readable } from 'node:stream'
import { Failure } from './failure.ts'
import { causeOf } from './ask-cluster.ts'
import type { Route } from './staff-api-route.ts'

/** Milliseconds until the answer has to begin: a cold start and the database's wait together take less. */
const ANSWER_MS = 60_000

/**
 * `fetch` for requests that go over a connection of our own, which the built-in one cannot. It follows no redirect: the
 * token is for one address only.
 */
export function httpFetch({ connect }: Route, log: (line: string) => void): (request: Request) => Promise<Response> {
  return async (request) => {
    const url = new URL(request.url)
    const body = request.body === null ? undefined : Buffer.from(await request.arrayBuffer())
    const socket = await connect?.()
    const since = performance.now()
    log(`${request.method} ${url.href}`)
    for (const [name, value] of request.headers) log(`> ${name}: ${name === 'authorization' ? '<redacted>' : value}`)
    return new Promise((resolve, reject) => {
      const fail = (error: Error) =>
        reject(
          error instanceof Failure
            ? error
            : new Failure(`staff-api cannot be reached at ${url.origin}: ${causeOf(error)}`),
        )
      const outgoing = (url.protocol === 'https:' ? https : http).request(url, {
        method: request.method,
        // With a connection of our own it would say the port, too, and an ingress goes by the host.
        headers: {
          ...Object.fromEntries(request.headers),
          host: url.host,
          ...(body && { 'content-length': body.length }),
        },
        ...(socket && { createConnection: () => socket }),
      })
      const late = setTimeout(
        () => outgoing.destroy(new Error(`no answer within ${ANSWER_MS / 1_000} seconds`)),
        ANSWER_MS,
      )
      outgoing.once('error', fail).once('close', () => clearTimeout(late))
      outgoing.once('response', (incoming) => {
        clearTimeout(late)
        const status = incoming.statusCode ?? 0
        log(`< ${status} in ${Math.round(performance.now() - since)} ms`)
        const headers = new Headers()
        for (const [name, values] of Object.entries(incoming.headersDistinct)) {
          for (const value of values ?? []) headers.append(name, value)
          log(`< ${name}: ${values?.join(', ')}`)
        }
        const empty = status === 204 || status === 304
        if (empty) incoming.resume()
        resolve(new Response(empty ? null : (Readable.toWeb(incoming) as ReadableStream), { status, headers }))
      })
      outgoing.end(body)
    })
  }
}
