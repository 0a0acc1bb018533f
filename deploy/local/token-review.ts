import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Somebody of a cluster, and whom their token is for; by default for us. */
export interface ClusterPerson {
  readonly user: string
  readonly groups?: readonly string[]
  readonly audiences?: readonly string[]
}

/** A stand-in for the one thing that we ask of a Kubernetes API. */
export interface TokenReviews {
  readonly url: string
  /** Questions that were answered. */
  asked(): number
  /** From here on the token is another's, or with undefined nobody's. */
  set(token: string, person: ClusterPerson | undefined): void
  /** From here on every question is answered with this status and body; undefined: as it should be. */
  answer(instead: { readonly status: number; readonly body: string } | undefined): void
  close(): Promise<void>
}

/**
 * Answers TokenReviews over HTTP as an API server does: a token that is for none of the audiences asked for is nobody's.
 */
export async function startTokenReviews(people: Readonly<Record<string, ClusterPerson>>): Promise<TokenReviews> {
  const known = new Map(Object.entries(people))
  let asked = 0
  let instead: { readonly status: number; readonly body: string } | undefined
  const review = (body: string) => {
    const { spec } = JSON.parse(body) as { spec: { token: string; audiences?: string[] } }
    const person = known.get(spec.token)
    const audiences = (person?.audiences ?? ['codex-k8s']).filter((each) => spec.audiences?.includes(each))
    const isOurs = person !== undefined && audiences.length > 0
    const status = isOurs
      ? { authenticated: true, user: { username: person.user, groups: person.groups ?? [] }, audiences }
      : { authenticated: false, error: 'invalid bearer token' }
    return {
      status: 201,
      body: JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', status }),
    }
  }
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const isReview = request.method === 'POST' && request.url === '/apis/authentication.k8s.io/v1/tokenreviews'
      if (isReview) asked += 1
      const answer = isReview
        ? (instead ?? review(Buffer.concat(chunks).toString('utf8')))
        : { status: 404, body: '{}' }
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.body)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: () => asked,
    set: (token, person) => void (person === undefined ? known.delete(token) : known.set(token, person)),
    answer: (given) => void (instead = given),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
