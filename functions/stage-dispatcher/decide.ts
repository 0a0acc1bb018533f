import type { JobView } from './launcher.ts'
import type { ReasonCode } from '#shared/workflow/reasons.ts'

/** Attempts of one run before it is given up. */
export const MAX_ATTEMPTS = 2

/** An open attempt, as the database and the launcher see it. */
export interface OpenAttempt {
  readonly attempt: number
  readonly state: 'intended' | 'created'
  readonly deadlinePassed: boolean
  readonly job: JobView | undefined
}

/** What to do with it. */
export type Verdict =
  | { readonly kind: 'leave' }
  | { readonly kind: 'launch' }
  | { readonly kind: 'lost'; readonly again: boolean; readonly detail: string }
  | { readonly kind: 'fail'; readonly reason: ReasonCode; readonly detail: string | undefined }

/**
 * Judges an attempt that is due. A Job that was created once and is not there now is lost, never silently created again:
 * what it did before it went cannot be known. What came too close to a limit is not tried again.
 */
export function judge({ attempt, state, deadlinePassed, job }: OpenAttempt): Verdict {
  if (deadlinePassed || job?.cause === 'deadline')
    return { kind: 'fail', reason: 'deadline_exceeded', detail: job?.end }
  if (job?.cause === 'silence') return { kind: 'fail', reason: 'agent_silent', detail: job.end }
  if (job !== undefined && job.state !== 'ended') return { kind: state === 'intended' ? 'launch' : 'leave' }
  if (job === undefined && state === 'intended') return { kind: 'launch' }
  return { kind: 'lost', again: attempt < MAX_ATTEMPTS, detail: job?.end ?? 'the Job is gone and left no result' }
}
