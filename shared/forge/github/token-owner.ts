import * as v from 'valibot'
import { RetryLater } from '#shared/errors.ts'

/** Whose token it is, as of now. */
export interface TokenOwner {
  readonly id: string
  readonly login: string
  /** `User` for a person; a machine user is one, too, and is known by its id only. */
  readonly type: string
}

const User = v.object({
  id: v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.transform(String)),
  login: v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,100}(\[bot\])?$/)),
  type: v.string(),
})

/** Longest wait for the answer, milliseconds. */
const WAIT_MS = 10_000

/**
 * Asks GitHub whose token this is; the token goes into this one request and nowhere else. `unknown`: nobody's. `no-person`:
 * an App's installation. RetryLater where GitHub gave no answer; no error says anything of the token.
 */
export async function readTokenOwner(instance: string, token: string): Promise<TokenOwner | 'unknown' | 'no-person'> {
  const failed = (why: string) => new RetryLater(`GET /user: ${why}`, { seconds: 10 })
  const response = await fetch(`${instance}/user`, {
    headers: { accept: 'application/vnd.github+json', authorization: `Bearer ${token}`, 'user-agent': 'codex-k8s' },
    redirect: 'manual',
    signal: AbortSignal.timeout(WAIT_MS),
  }).catch(() => {
    throw failed('no answer')
  })
  const body: unknown = await response.json().catch(() => undefined)
  if (response.status === 401) return 'unknown'
  const limited = response.headers.get('x-ratelimit-remaining') === '0' || response.headers.has('retry-after')
  if (response.status === 403 && !limited) return 'no-person'
  const owner = v.safeParse(User, body)
  if (!response.ok || !owner.success) throw failed(`status ${response.status}`)
  return owner.output
}
