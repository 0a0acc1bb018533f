import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import * as v from 'valibot'
import { digestOf } from '#shared/digest.ts'
import { nextMove } from './engineer.ts'
import type { Move } from './engineer.ts'
import { ResponsesRequest, turnOf } from './history.ts'
import { moveAfterReview } from './reviewed.ts'

/** Name under which the scripted model answers; it answers to any other as well. */
export const SCRIPTED_MODEL = 'scripted'

const MAX_BODY = 16 * 1024 * 1024

/** A running scripted model. `url` has no trailing slash and no `/v1`. */
export interface ScriptedModel {
  readonly url: string
  close(): Promise<void>
}

/**
 * Starts an OpenAI Responses-compatible server that plays an engineer (`engineer.ts`), by default on the loopback address.
 * It keeps nothing: the same request gets the same answer, so a client may repeat one after a cut.
 */
export async function startScriptedModel({
  port,
  host = '127.0.0.1',
}: {
  readonly port: number
  readonly host?: string
}): Promise<ScriptedModel> {
  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => {
      if (!response.headersSent)
        problem(response, 400, error instanceof Error ? error.message : 'The request cannot be read.')
      else response.destroy()
    })
  })
  server.listen(port, host)
  await once(server, 'listening')
  return {
    url: `http://${host}:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? '').split('?')[0]
  if (!/^Bearer \S+/.test(request.headers.authorization ?? ''))
    return problem(response, 401, 'A bearer token is required.')
  if (request.method === 'GET' && path === '/v1/models') {
    const model = { id: SCRIPTED_MODEL, object: 'model', created: 0, owned_by: 'codex-k8s' }
    return json(response, 200, { object: 'list', data: [model] })
  }
  if (request.method !== 'POST' || path !== '/v1/responses') return problem(response, 404, 'There is no such resource.')

  const body = await read(request)
  const parsed = v.safeParse(ResponsesRequest, JSON.parse(body))
  if (!parsed.success) return problem(response, 400, parsed.issues[0].message)
  const { task, steps } = turnOf(parsed.output)
  const move = task.includes('../task/review.md') ? moveAfterReview(steps) : nextMove(steps)
  const seed = digestOf(parsed.output.input).slice(0, 24)
  const item = itemOf(move, seed)
  const usage = usageOf(body, JSON.stringify(item))
  const answer = { id: `resp_${seed}`, object: 'response', model: parsed.output.model, created_at: 0 }
  const completed = { ...answer, status: 'completed', output: [item], usage }
  if (parsed.output.stream !== true) return json(response, 200, completed)

  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  const events = [
    { type: 'response.created', response: { ...answer, status: 'in_progress', output: [] } },
    { type: 'response.output_item.done', output_index: 0, item },
    { type: 'response.completed', response: completed },
  ]
  for (const [number, event] of events.entries()) {
    response.write(`event: ${event.type}\ndata: ${JSON.stringify({ ...event, sequence_number: number })}\n\n`)
  }
  response.end()
}

function itemOf(move: Move, seed: string) {
  switch (move.kind) {
    case 'command': {
      const input = JSON.stringify({ cmd: move.command, yield_time_ms: 30_000 })
      return {
        type: 'function_call',
        id: `fc_${seed}`,
        call_id: `call_${seed}`,
        name: 'exec_command',
        arguments: input,
      }
    }
    case 'patch':
      return {
        type: 'custom_tool_call',
        id: `ctc_${seed}`,
        call_id: `call_${seed}`,
        name: 'apply_patch',
        input: move.patch,
      }
    case 'message': {
      const content = [{ type: 'output_text', text: move.text, annotations: [] }]
      return { type: 'message', id: `msg_${seed}`, role: 'assistant', status: 'completed', content }
    }
  }
}

/** Four characters are about one token. */
function usageOf(input: string, output: string) {
  const [inputTokens, outputTokens] = [Math.ceil(input.length / 4), Math.ceil(output.length / 4)]
  return {
    input_tokens: inputTokens,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: outputTokens,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: inputTokens + outputTokens,
  }
}

async function read(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_BODY) throw new Error('The request is too large.')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function json(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}

/** Errors as the Responses API words them. */
function problem(response: ServerResponse, status: number, message: string): void {
  json(response, status, { error: { type: 'invalid_request_error', message } })
}
