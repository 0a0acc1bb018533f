import type { Cause, JobView } from './launcher.ts'
import type { ReasonCode } from '#shared/workflow/reasons.ts'

/** An open attempt, as the database and the launcher see it. */
export interface OpenAttempt {
  /** After it the run is given up. */
  readonly last: boolean
  readonly state: 'intended' | 'created'
  readonly deadlinePassed: boolean
  /** Seconds since its Job was created or it was last heard of; 0 while neither is known. */
  readonly quiet: number
  /** The same, when that is longer than it may be. */
  readonly unheard: number | undefined
  readonly job: JobView | undefined
}

/** What to do with it. */
export type Verdict =
  | { readonly kind: 'leave' }
  | { readonly kind: 'launch' }
  | { readonly kind: 'lost'; readonly again: boolean; readonly detail: string }
  | { readonly kind: 'fail'; readonly reason: ReasonCode; readonly detail: string | undefined }

/** What ends a run, whichever attempt it is: the next one would end the same way. */
const ends: Partial<Record<Cause, ReasonCode>> = {
  deadline: 'deadline_exceeded',
  silence: 'agent_silent',
  memory: 'out_of_memory',
  storage: 'out_of_storage',
  image_unusable: 'image_unusable',
}

/**
 * How long a Job may wait for what may come yet, seconds, and why its run ends then: a registry that is away for a moment, a
 * cluster that adds a machine, a quota that another Job gives back.
 */
const waits: Partial<Record<Cause, { readonly seconds: number; readonly reason: ReasonCode }>> = {
  image_unusable: { seconds: 0, reason: 'image_unusable' },
  image: { seconds: 120, reason: 'image_unusable' },
  no_room: { seconds: 240, reason: 'no_room' },
  not_admitted: { seconds: 240, reason: 'no_room' },
}

/**
 * Judges an attempt that is due. A Job that was created once and is not there now is lost, never silently created again:
 * what it did before it went cannot be known. What came too close to a limit is not tried again; what lost its place is.
 */
export function judge({ last, state, deadlinePassed, quiet, unheard, job }: OpenAttempt): Verdict {
  if (deadlinePassed) return { kind: 'fail', reason: 'deadline_exceeded', detail: job?.end }
  if (job?.state === 'ended') {
    const reason = job.cause && ends[job.cause]
    if (reason !== undefined) return { kind: 'fail', reason, detail: job.end }
    return { kind: 'lost', again: !last, detail: job.end ?? 'the Job ended and left no result' }
  }
  if (state === 'intended') return { kind: 'launch' }
  if (job === undefined) return { kind: 'lost', again: !last, detail: 'the Job is gone and left no result' }
  const wait = job.state === 'waiting' && job.cause ? waits[job.cause] : undefined
  if (wait !== undefined && quiet >= wait.seconds) return { kind: 'fail', reason: wait.reason, detail: job.end }
  if (unheard === undefined) return { kind: 'leave' }
  return { kind: 'fail', reason: 'agent_silent', detail: `nothing was heard of it for ${unheard} seconds` }
}

/** Where a run's Job goes. */
export type Placement =
  | { readonly kind: 'place'; readonly namespace: string | null }
  | { readonly kind: 'unknown'; readonly detail: string }

/**
 * The run namespace of a project: what its setting `runNamespace` says if that is one of the installation's, without a
 * setting the first. An installation without run namespaces has one place only, whatever the setting says.
 */
export function choosePlace(namespaces: readonly string[], wanted: unknown): Placement {
  const [first = null] = namespaces
  if (first === null || wanted === undefined || wanted === null) return { kind: 'place', namespace: first }
  if (typeof wanted === 'string' && namespaces.includes(wanted)) return { kind: 'place', namespace: wanted }
  return { kind: 'unknown', detail: typeof wanted === 'string' ? wanted.slice(0, 63) : 'not a text' }
}
