import type { JobView } from './launcher.ts'
import type { ReasonCode } from '#shared/workflow/reasons.ts'

/** An open attempt, as the database and the launcher see it. */
export interface OpenAttempt {
  /** After it the run is given up. */
  readonly last: boolean
  readonly state: 'intended' | 'created'
  readonly deadlinePassed: boolean
  /** Seconds since anything was heard of it; undefined when that is no longer than it may be. */
  readonly unheard: number | undefined
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
export function judge({ last, state, deadlinePassed, unheard, job }: OpenAttempt): Verdict {
  if (deadlinePassed || job?.cause === 'deadline')
    return { kind: 'fail', reason: 'deadline_exceeded', detail: job?.end }
  if (job?.cause === 'silence') return { kind: 'fail', reason: 'agent_silent', detail: job.end }
  if (job !== undefined && job.state !== 'ended') {
    if (state === 'intended') return { kind: 'launch' }
    if (unheard === undefined) return { kind: 'leave' }
    return { kind: 'fail', reason: 'agent_silent', detail: `nothing was heard of it for ${unheard} seconds` }
  }
  if (job === undefined && state === 'intended') return { kind: 'launch' }
  return { kind: 'lost', again: !last, detail: job?.end ?? 'the Job is gone and left no result' }
}
