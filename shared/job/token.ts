import { createHmac, timingSafeEqual } from 'node:crypto'

/** What a token opens: `run` the run-gateway, `model` the model-gateway. Neither opens the other. */
export type Audience = 'run' | 'model'

/** One attempt. An attempt that was replaced has a smaller fence, and its tokens are refused with it. */
export interface AttemptRef {
  readonly run: string
  readonly attempt: number
  readonly fence: number
}

const shape = /^(run|model)\.([0-9a-f-]{36})\.([1-9]\d{0,4})\.([1-9]\d{0,14})\.([A-Za-z0-9_-]{43})$/

/**
 * The bearer token of one attempt: HMAC-SHA256 over audience, run, attempt and fence, so a repeated creation of the
 * same Job carries the same token and nothing has to be stored. Whether the attempt is still open is the database's word.
 */
export function mintToken(key: string, audience: Audience, { run, attempt, fence }: AttemptRef): string {
  const claim = `${audience}.${run}.${attempt}.${fence}`
  return `${claim}.${createHmac('sha256', key).update(claim).digest('base64url')}`
}

/** The attempt a token was minted for, or undefined for anything that we did not mint for this audience. */
export function verifyToken(key: string, audience: Audience, token: string): AttemptRef | undefined {
  const [, kind, run, attempt, fence] = shape.exec(token) ?? []
  if (kind !== audience || run === undefined) return undefined
  const ref = { run, attempt: Number(attempt), fence: Number(fence) }
  const expected = Buffer.from(mintToken(key, audience, ref))
  const given = Buffer.from(token)
  return expected.length === given.length && timingSafeEqual(expected, given) ? ref : undefined
}
