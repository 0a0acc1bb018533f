import { readFileSync } from 'node:fs'
import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { join } from 'node:path'
import * as v from 'valibot'
import { RetryLater } from '#shared/errors.ts'

/** Somebody of the cluster. */
export interface Caller {
  readonly user: string
  readonly groups: readonly string[]
}

/** Where TokenReviews are asked for, and how we prove who we are. */
export interface ReviewOptions {
  /** Root of the Kubernetes API. */
  readonly url: string
  /** Our own ServiceAccount's folder: `token`, read anew each time because it changes, and `ca.crt`. Undefined: neither. */
  readonly accountDir: string | undefined
  /** A token has to be for one of these. */
  readonly audiences: readonly string[]
}

/** Longest wait for the answer, milliseconds, and largest answer, bytes. */
const WAIT_MS = 5_000
const MAX_BYTES = 1024 * 1024

const Answer = v.object({
  status: v.object({
    authenticated: v.optional(v.boolean(), false),
    user: v.optional(
      v.object({
        username: v.optional(v.pipe(v.string(), v.maxLength(500)), ''),
        groups: v.optional(v.array(v.string()), []),
      }),
    ),
    audiences: v.optional(v.array(v.string()), []),
  }),
})

/**
 * Asks the cluster whose token this is. Undefined: nobody's, or it is for somebody else than us; an answer that does not name
 * one of our audiences comes from an API server that did not look at them. RetryLater where there was no answer, or none to
 * us: a door that cannot ask stays shut. The token goes into this one request and into no error.
 */
export function tokenReviewer({
  url,
  accountDir,
  audiences,
}: ReviewOptions): (token: string) => Promise<Caller | undefined> {
  return async (token) => {
    const own = accountDir === undefined ? undefined : readFileSync(join(accountDir, 'token'), 'utf8').trim()
    const { status, text } = await post(
      `${url}/apis/authentication.k8s.io/v1/tokenreviews`,
      {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        spec: { token, audiences },
      },
      {
        ...(own !== undefined && { authorization: `Bearer ${own}` }),
      },
      accountDir === undefined ? undefined : readFileSync(join(accountDir, 'ca.crt')),
    )
    if (status !== 201 && status !== 200) throw unanswered(`status ${status}`)
    const answer = v.safeParse(v.pipe(v.string(), v.parseJson(), Answer), text)
    if (!answer.success) throw unanswered('not a TokenReview')
    const { authenticated, user, audiences: named } = answer.output.status
    if (!authenticated || user === undefined || user.username === '') return undefined
    if (!named.some((audience) => audiences.includes(audience))) return undefined
    return { user: user.username, groups: user.groups }
  }
}

const unanswered = (why: string) => new RetryLater(`TokenReview: ${why}`, { seconds: 5 })

/** By Node's own client: `fetch` takes no certificate authority of its own. */
function post(
  url: string,
  body: object,
  headers: Readonly<Record<string, string>>,
  ca: Buffer | undefined,
): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const failed = () => reject(unanswered('no answer'))
    const options = {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json', accept: 'application/json' },
      signal: AbortSignal.timeout(WAIT_MS),
      ...(ca !== undefined && { ca }),
    }
    const send = url.startsWith('https:') ? requestHttps : requestHttp
    const request = send(url, options, (response) => {
      const chunks: Buffer[] = []
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > MAX_BYTES) response.destroy(new Error('too large'))
        else chunks.push(chunk)
      })
      response.on('error', failed)
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
      )
    })
    request.on('error', failed)
    request.end(JSON.stringify(body))
  })
}
