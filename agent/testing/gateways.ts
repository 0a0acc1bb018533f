import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import * as v from 'valibot'
import { canonicalJson, digestOf, sha256 } from '#shared/digest.ts'
import type { Manifest, TaskContent } from '#shared/job/bundle.ts'
import { Progress, ResultManifest } from '#shared/job/result.ts'
import { serveGit } from './git-backend.ts'
import type { SampleRepository } from './repository.ts'

export const RUN_TOKEN = 'run.canary-of-the-run-token'
export const MODEL_TOKEN = 'model.canary-of-the-model-token'

/** What the gateways hold and the agent must never see. */
export const FORGE_TOKEN = 'canary-of-the-forge-token'
export const MODEL_KEY = 'canary-of-the-model-key'

export const INSTRUCTIONS =
  'Fix what the issue in ../task/issue.md describes. Answer with a title, a summary and what the tests say.\n'

const schema = {
  type: 'object',
  additionalProperties: false,
  required: ['title', 'summary', 'tests'],
  properties: { title: { type: 'string' }, summary: { type: 'string' }, tests: { type: 'string' } },
}

/** run-gateway and model-gateway for one attempt, and what they were told. */
export interface Gateways {
  readonly url: string
  readonly manifest: Manifest
  readonly blobs: Map<string, Buffer>
  readonly progress: v.InferOutput<typeof Progress>[]
  readonly results: ResultManifest[]
  /** `METHOD /path` of every request, also of those that were cut. */
  readonly requests: string[]
  /** Bodies of the requests to the model. */
  readonly asked: string[]
  close(): Promise<void>
}

/** Starts both on one port. A hook may answer a request itself, or cut it, by returning true. */
export async function startGateways(options: {
  readonly repository: SampleRepository
  readonly content: TaskContent
  readonly modelUrl?: string
  readonly manifest?: Partial<Manifest>
  readonly instructions?: string
  readonly hook?: (request: IncomingMessage, response: ServerResponse) => boolean
}): Promise<Gateways> {
  const blobs = new Map<string, Buffer>()
  const put = (text: string): string => {
    blobs.set(sha256(text), Buffer.from(text))
    return sha256(text)
  }
  const manifest: Manifest = {
    version: 1,
    repository: { provider: 'github', instance: 'https://forge.invalid', id: '1', fullName: 'acme/invoice' },
    subject: { kind: 'issue', number: 1, id: '1' },
    base: { ref: 'main', commit: options.repository.commit },
    stage: 'dev',
    instructions: put(options.instructions ?? INSTRUCTIONS),
    content: put(canonicalJson(options.content)),
    outputSchema: put(JSON.stringify(schema)),
    model: 'scripted',
    effort: 'medium',
    budget: { tokens: 1_000_000, outputTokens: 10_000, seconds: 60 },
    writeScope: { kind: 'code', protected: [], maxFiles: 100, maxBytes: 1_000_000 },
    image: 'none',
    workflow: sha256(''),
    policy: 1,
    gate: null,
    ...options.manifest,
  }
  const state = { manifest, blobs, progress: [], results: [], requests: [], asked: [] } as Omit<
    Gateways,
    'url' | 'close'
  >

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = (request.url ?? '').split('?')[0] ?? ''
    const call = `${request.method} ${path}`
    state.requests.push(call)
    if (options.hook?.(request, response) === true) return
    const bearer = request.headers.authorization
    if (call === 'POST /v1/responses') {
      if (bearer !== `Bearer ${MODEL_TOKEN}`) return void response.writeHead(401).end()
      const body = await bytesOf(request)
      state.asked.push(body.toString())
      const headers = { authorization: `Bearer ${MODEL_KEY}`, 'content-type': 'application/json' }
      const answer = await fetch(`${options.modelUrl}${path}`, { method: 'POST', headers, body: new Uint8Array(body) })
      response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' })
      return void response.end(Buffer.from(await answer.arrayBuffer()))
    }
    if (bearer !== `Bearer ${RUN_TOKEN}`) return void response.writeHead(401).end()
    if (path.startsWith('/v1/git/'))
      return serveGit(options.repository.directory, path.slice('/v1/git'.length), request, response)
    const body = await bytesOf(request)
    const blob = /^\/v1\/blobs\/([0-9a-f]{64})$/.exec(path)?.[1]
    if (call === 'GET /v1/input') {
      const input = { run: '6e6ed33a-0d4a-4c41-b58f-bb4a36d1a3a8', attempt: 1, digest: digestOf(manifest), manifest }
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(input))
    } else if (blob !== undefined && request.method === 'GET') {
      response.writeHead(blobs.has(blob) ? 200 : 404).end(blobs.get(blob))
    } else if (blob !== undefined && request.method === 'PUT') {
      if (sha256(body) === blob) blobs.set(blob, body)
      response.writeHead(sha256(body) === blob ? 201 : 422).end()
    } else if (call === 'POST /v1/progress') {
      state.progress.push(v.parse(Progress, JSON.parse(body.toString())))
      response.writeHead(200).end('{"stop":false}')
    } else if (call === 'POST /v1/result') {
      state.results.push(v.parse(ResultManifest, JSON.parse(body.toString())))
      response.writeHead(202).end()
    } else {
      response.writeHead(404).end()
    }
  }

  const server = createServer((request, response) => {
    handle(request, response).catch(() => (response.headersSent ? response.destroy() : response.writeHead(500).end()))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    ...state,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

async function bytesOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks)
}
