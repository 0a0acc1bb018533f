import { setImmediate as breath } from 'node:timers/promises'
import type { Progress } from '#shared/job/result.ts'
import { mintToken, type AttemptRef } from '#shared/job/token.ts'
import { scan } from '#shared/secret-scan/scan.ts'

/** Looks for the tokens of an attempt in what it sends. */
export interface TokenScan {
  /** An agent that gives away its tokens is stopped here: what is stored outlives the attempt, and goes into the ledger. */
  holdsToken(ref: AttemptRef, texts: readonly (Uint8Array | string)[]): Promise<boolean>
  /** A progress line ends in a public comment: one that looks as if it held a secret is not passed on. */
  withheld(ref: AttemptRef, progress: Progress): Progress
}

/** Scans for tokens that are made with this key. */
export function tokenScan(tokenKey: string): TokenScan {
  let before: Promise<unknown> = Promise.resolve()

  /** What is secret in the tokens of an attempt; which attempt they are of stands in every event. */
  const tokensOf = (ref: AttemptRef) =>
    (['run', 'model'] as const).map((audience) => mintToken(tokenKey, audience, ref).split('.').at(-1) ?? '')

  return {
    holdsToken(ref, texts) {
      // One takes up to 0.4 s in which nothing else happens here. Many in a row would be taken for a database that does not
      // answer: so there is a moment for everybody else between two.
      const turn = before
        .then(() => breath())
        .then(() => {
          const channels = texts.map((text) => ({ name: 'upload', text }))
          return scan(channels, tokensOf(ref)).some(({ code }) => code === 'canary' || code === 'run_token')
        })
      before = turn.catch(() => {})
      return turn
    },

    withheld(ref, progress) {
      const found = scan([{ name: 'progress', text: progress.text }], tokensOf(ref))
      return found.length === 0 ? progress : { ...progress, text: '(withheld: it looks like a secret)' }
    },
  }
}

/** Every string of a value by itself: neighbours, or the escapes of JSON, would be taken for a part of it. */
export function stringsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(stringsIn) : []
}
