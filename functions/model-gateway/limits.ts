import type { Problem } from '#shared/edge/problem.ts'
import type { RunState } from '#shared/db/schema.ts'
import type { Manifest } from '#shared/job/bundle.ts'

/** The attempt a token was minted for, as it is by the database's clock. */
export interface Attempt {
  readonly state: 'intended' | 'created' | 'finished' | 'lost' | 'stopped'
  readonly runState: RunState
  /** Why it is over; a code of `workflow/reasons.ts`. */
  readonly reason: string | null
  /** No attempt of the run came after it. */
  readonly newest: boolean
  /** Its deadline has not passed. */
  readonly inTime: boolean
  readonly manifest: Manifest
}

/** What a run has used, under the lock of its reservations. */
export interface Usage {
  /** Tokens of all its calls; an open one counts with what it reserved. */
  readonly charged: number
  /** Seconds until the open reservation ends unless somebody renews it; null where there is none. */
  readonly open: number | null
}

/** Why there is no reservation, and when to ask again. */
export interface Denied {
  readonly refused: Problem
  readonly retryAfter?: string
}

/** The attempt, if it may still ask the model. */
export function openAttempt(attempt: Attempt | undefined): Attempt | Denied {
  if (attempt === undefined)
    return { refused: { status: 401, code: 'token_invalid', title: 'Not a token of an attempt' } }
  const { state, runState, reason, newest, inTime } = attempt
  const open =
    newest && (state === 'intended' || state === 'created') && (runState === 'starting' || runState === 'running')
  if (!open && reason === 'budget_exhausted') return exhausted('The run is over.')
  if (!open) return { refused: { status: 403, code: 'attempt_closed', title: 'The attempt is over' } }
  return inTime
    ? attempt
    : { refused: { status: 403, code: 'deadline_exceeded', title: 'The attempt has run out of time' } }
}

/** May it reserve so many tokens? One stream at a time; the reservations of a run never pass its budget. */
export function denyReservation(
  found: Attempt | undefined,
  tokens: number,
  { charged, open }: Usage,
): Denied | undefined {
  const attempt = openAttempt(found)
  if ('refused' in attempt) return attempt
  if (open !== null) {
    // The CLI waits as told. If the open stream lost its process, its lease is over by then.
    const refused = {
      status: 409,
      code: 'stream_already_open',
      title: 'The run has an open stream',
      detail: 'A run has one stream at a time.',
    }
    return { refused, retryAfter: String(Math.max(1, open)) }
  }
  const budget = attempt.manifest.budget.tokens
  if (charged + tokens <= budget) return undefined
  return exhausted(`${charged} of ${budget} tokens are used and the next call may need ${tokens}.`)
}

function exhausted(detail: string): Denied {
  // 400 is the one status that Codex CLI 0.169 takes as final: 402 and 403 are repeated.
  return { refused: { status: 400, code: 'budget_exhausted', title: 'The token budget is used up', detail } }
}

/**
 * Tokens a request may use: its whole output, and a token for every three bytes of input. English and code have about
 * four bytes to a token. Denser input passes the estimate, but once: what is charged is the reported usage.
 */
export function reservation(bytes: number, outputTokens: number): number {
  return Math.ceil(bytes / 3) + outputTokens
}
