import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

import { getRequestListener } from '@hono/node-server'
import { createCredentials } from './credentials.ts'
import { createDeliveries } from './deliveries.ts'
import { openEngine } from './engine.ts'
import { createFaults } from './faults.ts'
import type { Forge } from './forge.ts'
import { actorOf, createFront } from './front.ts'
import { correctObjects } from './git-data.ts'
import { isGitRequest, serveGit } from './git-http.ts'
import { followEdits } from './graphql.ts'
import { createGitRepositories } from './git-repository.ts'
import { openLedger, recordEffects } from './ledger.ts'
import { followPush } from './pulls.ts'
import { createRateLimit, createSecondaryLimits } from './rate-limit.ts'
import { plantSeed } from './plant-seed.ts'
import { readSeed } from './seed.ts'
import type { SeedInput, SeedValue } from './seed.ts'
import { connectWebhooks, createEmit } from './webhooks.ts'
import type { Emit } from './webhooks.ts'

/** How to start a forge. */
export interface ForgeOptions {
  /** Directory for the bare repositories and the ledger. */
  readonly data: string
  /** 0 or nothing for any free port. */
  readonly port?: number
  readonly host?: string
  /** The address others reach it by, where that is not where it listens. */
  readonly publicUrl?: string
  readonly seed?: SeedInput
  /** First id of everything; the default never repeats between runs. */
  readonly idOffset?: number
}

/** A running forge. */
export interface RunningForge {
  readonly url: string
  close(): Promise<void>
}

const EPOCH = Date.UTC(2024, 0, 1)

/** Start GitHub's stand-in: REST, webhooks and git over HTTP in one process. */
export async function startForge(options: ForgeOptions): Promise<RunningForge> {
  const seed = readSeed(options.seed ?? {})
  const firstId = options.idOffset ?? Math.floor((Date.now() - EPOCH) / 1000) * 1000
  if (!Number.isSafeInteger(firstId) || firstId < 1)
    throw new Error(`FORGE_ID_OFFSET ${firstId} is not a positive safe integer`)
  mkdirSync(options.data, { recursive: true })

  let handle = (_request: IncomingMessage, response: ServerResponse): unknown => response.writeHead(503).end()
  const server = createServer((request, response) => void handle(request, response))
  server.listen(options.port ?? 0, options.host ?? '127.0.0.1')
  await once(server, 'listening')
  const url = options.publicUrl ?? `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  try {
    const forge = await assemble(options.data, url, firstId, seed)
    handle = forge.listener
    return {
      url,
      async close() {
        server.close()
        server.closeAllConnections()
        await once(server, 'close')
        forge.close()
      },
    }
  } catch (error) {
    server.close()
    throw error
  }
}

type Listener = (request: IncomingMessage, response: ServerResponse) => Promise<void> | void

async function assemble(
  data: string,
  url: string,
  firstId: number,
  seed: SeedValue,
): Promise<{ listener: Listener; close(): void }> {
  const ledger = openLedger(join(data, 'ledger.jsonl'))
  const engine = await openEngine(url, firstId)
  let lastId = firstId
  const nextId = () => ++lastId
  const apps: Forge['apps'] = []
  const deliveries = createDeliveries(ledger, nextId)
  const forge: Forge = {
    url,
    engine,
    state: engine.state,
    ledger,
    apps,
    deliveries,
    nextId,
    credentials: createCredentials(apps),
    hooks: [],
    faults: createFaults(),
    edited: new Map(),
    signed: new Set(),
  }
  correctObjects(forge)
  await plantSeed(forge, seed)
  // From here on: what is planted is not an effect.
  recordEffects(forge.state, ledger)
  followEdits(forge)
  const emit = createEmit(forge)
  connectWebhooks(forge, emit, followPush(forge, emit))
  return {
    listener: withFaults(forge, listen(forge, emit, data, seed)),
    close() {
      deliveries.close()
      ledger.close()
    },
  }
}

function listen(forge: Forge, emit: Emit, data: string, seed: SeedValue): Listener {
  const repositories = createGitRepositories(join(data, 'repositories'), forge.state)
  const front = createFront(forge, emit, {
    primary: createRateLimit(seed.rate_limit),
    secondary:
      seed.secondary_limits_speed === undefined ? undefined : createSecondaryLimits(seed.secondary_limits_speed),
  })
  const rest = getRequestListener(front.fetch, { overrideGlobalObjects: false })
  return async (request, response) => {
    const path = (request.url ?? '/').split('?', 1)[0] ?? '/'
    if (!path.startsWith('/_forge/')) {
      response.on('close', () => record(forge, request, response))
    }
    if (!isGitRequest(path)) return rest(request, response)
    try {
      await serveGit(forge, repositories, request, response)
    } catch (error) {
      console.error(error)
      response.destroy()
    }
  }
}

function record({ ledger, credentials }: Forge, request: IncomingMessage, response: ServerResponse): void {
  let actor = 'unknown'
  try {
    actor = actorOf(credentials.identify(request.headers.authorization))
  } catch {
    // A token that names nobody was answered 401.
  }
  const { method, url: path } = request
  ledger.add('request', { method, path, status: response.statusCode, sent: response.writableFinished, actor })
}

// Below the routes, where a connection can still be cut without a byte of answer.
function withFaults(forge: Forge, listener: Listener): Listener {
  return async (request, response) => {
    const { method = 'GET', url = '/' } = request
    const effect = url.startsWith('/_forge/') ? undefined : forge.faults.take(method, url)
    if (effect === undefined) return listener(request, response)
    forge.ledger.add('fault', { method, path: url, effect })
    if (effect === 'drop-before') return void request.socket.destroy()
    if (effect === 'apply-then-drop') return listener(request, muted(request, response))
    if ('status' in effect) {
      const echoed = effect.echo === true ? { message: JSON.stringify(request.headers) } : undefined
      const body =
        typeof effect.body === 'string'
          ? effect.body
          : JSON.stringify(echoed ?? effect.body ?? { message: 'Injected fault' })
      request.resume()
      return void response.writeHead(effect.status, { 'content-type': 'application/json', ...effect.headers }).end(body)
    }
    await delay(effect.delayMs)
    return listener(request, response)
  }
}

// Everything happens, nobody hears of it.
function muted(request: IncomingMessage, response: ServerResponse): ServerResponse {
  response.writeHead = (status: number) => {
    response.statusCode = status
    return response
  }
  response.flushHeaders = () => undefined
  response.write = () => true
  response.end = () => {
    request.socket.destroy()
    return response
  }
  return response
}
