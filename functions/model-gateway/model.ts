import * as v from 'valibot'
import type { Problem } from '#shared/edge/problem.ts'

/** The provider's answer: a stream, or a refusal in our own words and whether it may have cost something. */
export type Answer =
  | { readonly stream: ReadableStream<Uint8Array> }
  | { readonly refused: Problem; readonly retryAfter?: string; readonly spent: boolean }

/** Where the model is, and what opens it. */
export interface ModelOptions {
  /** Root of the provider's API, e.g. `https://api.openai.com/v1`. */
  readonly url: string
  /** Empty for a model that asks for none. */
  readonly key: string
  readonly fetch: typeof fetch
}

/** Failures before the request can have reached the provider. */
const unreached = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT'])

/** An OpenAI-compatible error's identifiers. Its message is a provider's free text, which would end up in a public comment. */
const Identifier = v.optional(v.fallback(v.nullable(v.pipe(v.string(), v.regex(/^[a-z][\w.[\]-]{0,63}$/))), null))
const ErrorBody = v.object({ error: v.object({ code: Identifier, type: Identifier, param: Identifier }) })

/** Longest error body that is looked at, bytes. */
const MAX_ERROR = 64 * 1024

/** Asks the provider. Nothing of the agent's request goes along but the body, nothing of an error's body comes back. */
export async function askModel({ url, key, fetch }: ModelOptions, body: string, signal: AbortSignal): Promise<Answer> {
  let response: Response
  try {
    response = await fetch(`${url}/responses`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'text/event-stream',
        ...(key !== '' && { authorization: `Bearer ${key}` }),
      },
      body,
      signal,
      // Another host must not get the key.
      redirect: 'manual',
    })
  } catch (error) {
    const { code } = ((error as Error).cause ?? {}) as { code?: string }
    return unavailable(502, 'The model could not be reached.', { spent: !unreached.has(code ?? '') })
  }
  const { status, headers } = response
  if (status === 200 && response.body !== null) {
    if (headers.get('content-type')?.startsWith('text/event-stream') === true) return { stream: response.body }
    await response.body.cancel()
    return unavailable(502, 'The model did not answer with a stream.', { spent: true })
  }
  const wait = /^\d{1,4}$/.exec(headers.get('retry-after') ?? '')?.[0]
  const retryAfter = wait === undefined ? {} : { retryAfter: wait }
  if (status === 429) {
    await response.body?.cancel()
    return { refused: { status, code: 'model_busy', title: 'Model busy' }, ...retryAfter, spent: false }
  }
  if (status >= 400 && status < 500 && status !== 401 && status !== 403) {
    const detail = `The provider answered ${status}${await reason(response, key)}.`
    return { refused: { status: 400, code: 'model_refused', title: 'Refused by the model', detail }, spent: false }
  }
  await response.body?.cancel()
  return unavailable(status >= 500 ? status : 502, `The provider answered ${status}.`, { ...retryAfter, spent: false })
}

function unavailable(
  status: number,
  detail: string,
  rest: { readonly retryAfter?: string; readonly spent: boolean },
): Answer {
  return { refused: { status, code: 'model_unavailable', title: 'Model unavailable', detail }, ...rest }
}

async function reason(response: Response, key: string): Promise<string> {
  const parsed = v.safeParse(ErrorBody, await readJson(response))
  if (!parsed.success) return ''
  const { code, type, param } = parsed.output.error
  const harmless = (word: string | null | undefined) =>
    word == null || (key !== '' && word.includes(key)) ? [] : [word]
  const said = [...[code, type].flatMap(harmless).slice(0, 1), ...harmless(param)]
  return said.length === 0 ? '' : `: ${said.join(', ')}`
}

async function readJson(response: Response): Promise<unknown> {
  const chunks: Uint8Array[] = []
  try {
    let size = 0
    for await (const chunk of response.body ?? []) {
      size += chunk.length
      if (size > MAX_ERROR) return undefined
      chunks.push(chunk)
    }
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch {
    return undefined
  }
}
