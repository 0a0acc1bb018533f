import { RetryLater } from '#shared/errors.ts'

/** One repository's read-only git, behind our credential. */
export interface GitUpstream {
  /** `https://github.com/owner/name.git` */
  readonly url: string
  /** The password of `x-access-token`. */
  token(): Promise<string>
}

/**
 * Headers of the client that reach the forge. Its credentials do not, nor its `accept-encoding`: what the forge packs is
 * unpacked here.
 */
const forwarded = ['accept', 'content-type', 'content-encoding', 'git-protocol']

/** Headers of the forge that reach the client. */
const returned = ['content-type', 'cache-control']

/** Longest wait for the forge's first byte, milliseconds. */
const TIMEOUT_MS = 60_000

/** The two requests of a fetch: `upload-pack` and nothing else, so nothing can be pushed whatever the credential allows. */
export type GitRequest =
  | { readonly kind: 'advertise' }
  | { readonly kind: 'upload-pack'; readonly body: ReadableStream<Uint8Array> | Uint8Array<ArrayBuffer> | null }

/** Passes a fetch on to the forge. Redirects are refused: they would take our credential elsewhere. */
export async function proxyGit(upstream: GitUpstream, headers: Headers, request: GitRequest): Promise<Response> {
  const path = request.kind === 'advertise' ? '/info/refs?service=git-upload-pack' : '/git-upload-pack'
  const sent = new Headers({
    authorization: `Basic ${Buffer.from(`x-access-token:${await upstream.token()}`).toString('base64')}`,
  })
  for (const name of forwarded) {
    const value = headers.get(name)
    if (value !== null) sent.set(name, value)
  }
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(), TIMEOUT_MS)
  const response = await fetch(`${upstream.url}${path}`, {
    method: request.kind === 'advertise' ? 'GET' : 'POST',
    headers: sent,
    body: request.kind === 'advertise' ? null : request.body,
    redirect: 'error',
    signal: late.signal,
    duplex: 'half',
  } as RequestInit)
    .catch((error: unknown) => {
      throw new RetryLater('the forge does not answer for git', { cause: error })
    })
    // Only until the first byte: a large repository may take longer than that to arrive.
    .finally(() => clearTimeout(timer))
  const kept = new Headers()
  for (const name of returned) {
    const value = response.headers.get(name)
    if (value !== null) kept.set(name, value)
  }
  return new Response(response.body, { status: response.status, headers: kept })
}
