import type { HttpBindings } from '@hono/node-server'
import { createServer, STATUS_CODES, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Log } from '#shared/log.ts'
import { linger } from '#shared/edge/linger.ts'
import { flushSpans, isTracing } from '#shared/telemetry/trace.ts'

/** A function's app: what answers requests and what has to be let go at the end. */
export interface App {
  /** `bindings` are there when the request came through `listen`. */
  fetch(request: Request, bindings?: Partial<HttpBindings>): Response | Promise<Response>
  /** Gets ready what only a request needs. It is called while the probe is on its way and never waited for. */
  warm?(): Promise<unknown>
  close(): Promise<void>
}

/** Limits of the socket, milliseconds. Node's own (60 s for headers, 300 s for a request) let slow senders hold us. */
export interface ServeOptions {
  readonly port: number
  readonly log: Log
  /** The address to listen on; default every one, as a pod has to. */
  readonly host?: string | undefined
  /** From the first byte of a request to its last; default 9 s, looked at every second, so that ten are never passed. */
  readonly requestTimeoutMs?: number
}

/** A listening app. */
export interface Served {
  readonly url: string
  close(): Promise<void>
}

/** Longest wait for requests under way once a stop was asked for, milliseconds: the end comes within ten seconds. */
const DRAIN_MS = 9_000

/** A loop that was held up for longer than this is not ready for more work, milliseconds. */
const HELD_UP_MS = 1_000

/** What Node's parser and its clock find wrong with a connection, where it is more than a bad request. */
const CLIENT_ERRORS: Readonly<Record<string, number>> = {
  ERR_HTTP_REQUEST_TIMEOUT: 408,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  HPE_HEADER_OVERFLOW: 431,
}

/** How often the loop shows that it turns, milliseconds. */
const TURN_MS = 250

/**
 * How long the event loop was held up since it was last asked. While it hangs nobody answers a probe at all; the one after
 * that is told no, so that other replicas get the work while this one catches up. Liveness is `/healthz`, which only answers.
 */
function watchLoop(): { heldUpMs(): number; close(): void } {
  let [last, longest] = [performance.now(), 0]
  const turn = () => {
    const now = performance.now()
    longest = Math.max(longest, now - last - TURN_MS)
    last = now
  }
  const timer = setInterval(turn, TURN_MS).unref()
  return {
    heldUpMs() {
      turn()
      const ms = Math.round(longest)
      longest = 0
      return ms
    },
    close: () => clearInterval(timer),
  }
}

/** Listens until closed, and answers the probes `/healthz` and `/readyz` by itself. Closing lets requests under way finish, at most 9 s, then closes the app. */
export async function listen(
  app: App,
  { port, host, requestTimeoutMs = 9_000 }: Omit<ServeOptions, 'log'>,
): Promise<Served> {
  const loop = watchLoop()
  let loaded: ReturnType<typeof loadListener> | undefined
  const load = () => (loaded ??= loadListener(app))
  const limits = {
    requestTimeout: requestTimeoutMs,
    headersTimeout: Math.min(requestTimeoutMs, 10_000),
    connectionsCheckingInterval: 1_000,
    keepAliveTimeout: 5_000,
  }
  const server = createServer(limits, (incoming, outgoing) => {
    // The probe of a start comes before everything else; what it does not need is loaded when it has its answer.
    if (incoming.method === 'GET' && (incoming.url === '/healthz' || incoming.url === '/readyz')) {
      outgoing.once('finish', () => void load())
      const heldUpMs = incoming.url === '/readyz' ? loop.heldUpMs() : 0
      outgoing.statusCode = heldUpMs > HELD_UP_MS ? 503 : 200
      outgoing.end(heldUpMs > HELD_UP_MS ? `the event loop was held up for ${heldUpMs} ms` : 'ok')
    } else void load().then((listener) => listener(incoming, outgoing))
  })
  // While it closes, every answer is the last one on its connection: a sender that keeps its connection busy would hold
  // the process until the cut, and be cut in the middle of a request.
  const open = new Set<ServerResponse>()
  let closing = false
  server.prependListener('request', (_request, response: ServerResponse) => {
    open.add(response)
    response.shouldKeepAlive &&= !closing
    response.once('close', () => {
      open.delete(response)
      if (closing) server.closeIdleConnections()
    })
  })
  const hasBegunToAnswer = (socket: Duplex) => {
    for (const response of open) if (response.socket === socket) return response.headersSent
    return false
  }
  // What is no request of HTTP is told so, if nothing else is being told on its connection.
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (!socket.writable || hasBegunToAnswer(socket) || error.code === 'ECONNRESET') return void socket.destroy()
    const status = CLIENT_ERRORS[error.code ?? ''] ?? 400
    socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`)
    // Who was too slow has nothing left that we did not read.
    if (status === 408) socket.destroy()
    else linger(socket)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port, host }, resolve)
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      closing = true
      for (const response of open) response.shouldKeepAlive = false
      const drained = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeIdleConnections()
      const cut = setTimeout(() => server.closeAllConnections(), DRAIN_MS)
      await drained
      clearTimeout(cut)
      loop.close()
      await app.close()
      await flushSpans()
    },
  }
}

/** Node's Request and Response, with the client they are part of, cost more at a start than everything else of its HTTP. */
async function loadListener(app: App) {
  const { requestListener } = await import('#shared/edge/request-listener.ts')
  if (!isTracing()) return requestListener(app)
  const fetch: App['fetch'] = async (request, bindings) => {
    const response = await app.fetch(request, bindings)
    // Before the answer: after it nothing counts a request that is over, and the pod may go.
    await flushSpans()
    return response
  }
  return requestListener({ ...app, fetch })
}

/** Serves the app as a process: until SIGTERM or SIGINT, then drains and exits with 0. */
export async function serve(app: App, options: ServeOptions): Promise<void> {
  const { log } = options
  // Node's own report would print all that libraries hang on an error.
  const fail = (what: string) => (error: unknown) => {
    log.fatal({ err: error }, what)
    process.exit(70)
  }
  process.on('unhandledRejection', fail('unhandled rejection'))
  process.on('uncaughtException', fail('uncaught exception'))
  const served = await listen(app, options)
  // What goes wrong here goes wrong again, and is told, when a request needs it.
  app.warm?.().catch(() => {})
  log.info({ url: served.url }, 'listening')
  const stop = (signal: string) => {
    log.info({ signal }, 'draining')
    void served.close().then(() => process.exit(0))
  }
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
}
