import * as v from 'valibot'
import { operations } from '../api/operations.gen.ts'
import type * as schemas from '../api/schemas.gen.ts'
import { Failure } from './failure.ts'

/** An operation of the contract, by its operationId. */
export type OperationId = keyof typeof operations

type Sent<Schema> = Schema extends v.GenericSchema ? v.InferInput<Schema> : undefined

/** What an operation is asked with. */
export interface Asked<Id extends OperationId> {
  readonly path?: Sent<(typeof operations)[Id]['pathSchema']>
  readonly query?: Sent<(typeof operations)[Id]['querySchema']>
  readonly body?: Sent<(typeof operations)[Id]['bodySchema']>
}

/** What an operation answers. A server of another version may add to it. */
export type Answer<Id extends OperationId> = v.InferOutput<(typeof schemas)[`v${Capitalize<Id>}Response`]>

/** The staff API: any operation of the contract by its name. */
export type StaffApi = <Id extends OperationId>(id: Id, asked?: Asked<Id>) => Promise<Answer<Id>>

/** A problem document of the staff API. */
export class Refused extends Failure {
  readonly status: number
  readonly code: string
  /** Seconds after which asking again makes sense. */
  readonly retryAfter: number | undefined

  constructor(status: number, code: string, title: string, next: string | undefined, retryAfter: number | undefined) {
    super(title, next)
    this.status = status
    this.code = code
    this.retryAfter = retryAfter
  }
}

/** Largest answer that is read, bytes: 200 items of a list with everything in them are a hundredth of it. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024

/** Calls the API at a URL as whoever the token belongs to. What the contract does not allow is not sent. */
export function staffApi(url: URL, token: string, fetch: (request: Request) => Promise<Response>): StaffApi {
  return async (id, asked = {}) => {
    const { method, path, pathSchema, querySchema, bodySchema } = operations[id]
    check(pathSchema, asked.path)
    check(querySchema, asked.query)
    check(bodySchema, asked.body)
    const filled = path.replaceAll(/:(\w+)/g, (_, name: string) =>
      encodeURIComponent((asked.path as Readonly<Record<string, string>> | undefined)?.[name] ?? ''),
    )
    const target = new URL(url.pathname.replace(/\/$/, '') + filled, url)
    for (const [name, value] of Object.entries<string | number | undefined>(asked.query ?? {}))
      if (value !== undefined) target.searchParams.set(name, String(value))
    const headers = new Headers({ accept: 'application/json', authorization: `Bearer ${token}` })
    if (asked.body !== undefined) headers.set('content-type', 'application/json')
    const body = asked.body === undefined ? null : JSON.stringify(asked.body)
    const response = await fetch(new Request(target, { method, headers, body }))
    const answer = await readJson(response)
    if (!response.ok) throw refused(response, answer)
    return answer as Answer<typeof id>
  }
}

function check(schema: v.GenericSchema | undefined, value: unknown): void {
  if (schema === undefined || value === undefined) return
  const parsed = v.safeParse(schema, value)
  if (parsed.success) return
  const [issue] = parsed.issues
  const at = v.getDotPath(issue) ?? 'the request'
  throw new Failure(
    `${at}: ${JSON.stringify(issue.input)} is not valid`,
    wanted[issue.type] ?? `Expected ${issue.expected ?? 'something else'}.`,
  )
}

/** What was wanted, by the kind of check that failed; the patterns themselves say little to people. */
const wanted: Readonly<Record<string, string>> = {
  uuid: 'It has to be an id as lists show them, such as 581e7fc7-1840-41b9-9fdb-4e99455b0a00.',
}

async function readJson(response: Response): Promise<unknown> {
  const parts: Uint8Array[] = []
  let bytes = 0
  try {
    for await (const part of response.body ?? []) {
      bytes += part.length
      if (bytes > MAX_ANSWER_BYTES) throw new Error(`more than ${MAX_ANSWER_BYTES} bytes`)
      parts.push(part)
    }
    return JSON.parse(Buffer.concat(parts).toString())
  } catch (error) {
    if (!response.ok) return undefined
    throw new Failure(
      `the answer of staff-api cannot be read: ${(error as Error).message}`,
      'Is the address that of codex-k8s? Try again with --log-http.',
    )
  }
}

function refused(response: Response, answer: unknown): Refused {
  const problem = answer as { code?: unknown; title?: unknown; detail?: unknown } | undefined
  const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined)
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN)
  return new Refused(
    response.status,
    text(problem?.code) ?? 'unknown',
    text(problem?.title) ?? `staff-api answers ${response.status} without a reason`,
    text(problem?.detail) ?? nextByStatus[response.status],
    Number.isFinite(seconds) ? seconds : undefined,
  )
}

const nextByStatus: Readonly<Record<number, string>> = {
  401: 'Your token was not accepted. `kn codex whoami` says who you are; --as-service-account makes a token for codex-k8s.',
  403: 'Ask an admin of codex-k8s for a role: `kn codex grants add`.',
  404: 'It is not there, or you may not see it.',
  503: 'Try again in a moment; `kn codex doctor` says what is wrong.',
}
