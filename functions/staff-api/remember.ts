import { sha256 } from '#shared/digest.ts'

/** How long an answer about a token is kept, milliseconds: who loses a token waits no longer than this. */
const KEPT_MS = 10_000

/** Tokens that are remembered at a time. */
const MOST = 1_000

/**
 * Asks about a token once in ten seconds, also when many ask at the same time. Only its digest is kept, and no failure: the
 * next one asks again.
 */
export function remember<T>(
  ask: (token: string) => Promise<T>,
  now: () => number = () => performance.now(),
): (token: string) => Promise<T> {
  const known = new Map<string, { readonly at: number; readonly answer: Promise<T> }>()
  return (token) => {
    const key = sha256(token)
    const before = known.get(key)
    if (before !== undefined && now() - before.at < KEPT_MS) return before.answer
    known.delete(key)
    for (const oldest of known.keys()) {
      if (known.size < MOST) break
      known.delete(oldest)
    }
    const answer = ask(token)
    const entry = { at: now(), answer }
    known.set(key, entry)
    answer.catch(() => known.get(key) === entry && known.delete(key))
    return answer
  }
}
