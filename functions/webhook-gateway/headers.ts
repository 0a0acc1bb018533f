import { problem } from '#shared/edge/problem.ts'

const CONTENT_TYPE = /^application\/json(?:\s*;\s*charset\s*=\s*"?utf-8"?)?$/i

/** Printable ASCII without what percent-encoding in `ce-id` would touch, so that the id is the same everywhere. */
const DELIVERY_ID = /^[\x21\x23\x24\x26-\x7e]{1,100}$/
const EVENT = /^[a-z0-9_]{1,60}$/

/** The answer to headers that no forge sends; a header that came twice reads `a, b` and is none of them. */
export function refusalOf(headers: Headers): Response | undefined {
  const encoding = headers.get('content-encoding')
  if (encoding !== null && encoding.toLowerCase() !== 'identity') {
    return refuse(415, 'unsupported_encoding', 'Unsupported content encoding', 'send the body without content encoding')
  }
  if (!CONTENT_TYPE.test(headers.get('content-type') ?? '')) {
    return refuse(415, 'unsupported_media_type', 'Unsupported media type', 'set content type to application/json')
  }
  if (!DELIVERY_ID.test(headers.get('x-github-delivery') ?? '')) {
    return refuse(400, 'bad_delivery_id', 'X-GitHub-Delivery is missing or malformed')
  }
  if (!EVENT.test(headers.get('x-github-event') ?? '')) {
    return refuse(400, 'bad_event', 'X-GitHub-Event is missing or malformed')
  }
  return undefined
}

/** A refusal before the body: the connection ends with it, else the server would read what it just refused. */
export function refuse(
  status: number,
  code: string,
  title: string,
  detail?: string,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const document = { status, code, title, ...(detail === undefined ? {} : { detail }) }
  return problem(document, { ...headers, connection: 'close' })
}
