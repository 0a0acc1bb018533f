import type { Resources } from '#shared/job/bundle.ts'

/** By what a Job is found again, and told from another's. */
export interface JobRef {
  readonly name: string
  /** Where it is; null where the launcher has one place only. Chosen with the intent, so that it is found there later. */
  readonly namespace: string | null
  readonly run: string
}

/** What one attempt is started with. Everything else the agent fetches with its token. */
export interface Job extends JobRef {
  /** From run and attempt, so that creating it again meets the first one. */
  readonly name: string
  readonly attempt: number
  /** The project's own image. */
  readonly image: string
  /** What the stage asks for; what it leaves out, the installation says. */
  readonly resources?: Resources | undefined
  /** Wall time left, seconds. */
  readonly seconds: number
  /** Time without a sign of life after which it is ended, seconds. */
  readonly silentSeconds: number
  readonly tokens: { readonly run: string; readonly model: string }
}

/** What came of creating a Job. `exists` may be ours, from before a crash, or somebody else's: `run` tells. */
export type Created =
  | { readonly kind: 'created' | 'exists'; readonly uid: string; readonly run: string }
  | { readonly kind: 'refused'; readonly detail: string }

/** There is no Job, because what may run in its place is used up. It is worth asking again, and worth saying meanwhile. */
export interface Held {
  readonly kind: 'held'
  /** For a person. */
  readonly detail: string
  /** When it is worth asking again. */
  readonly seconds: number
}

/**
 * Why a Job ended without a result, or does not begin, where that is known. `deadline`, `silence`, `memory` and `storage` are
 * its limits; `evicted` is the place that went away under it. Of one that waits: `image` (it could not be had so far),
 * `image_unusable` (it never will), `no_room` (no machine takes it), `not_admitted` (the cluster makes no pod of it).
 */
export type Cause =
  | 'deadline'
  | 'silence'
  | 'memory'
  | 'storage'
  | 'evicted'
  | 'image'
  | 'image_unusable'
  | 'no_room'
  | 'not_admitted'

/** A Job as it is now. */
export interface JobView {
  readonly uid: string
  readonly run: string
  readonly state: 'waiting' | 'running' | 'ended'
  /** How it ended, or what it waits for, for a person. */
  readonly end?: string
  readonly cause?: Cause
}

/** Where Jobs run. An unknown outcome is a RetryLater: whoever asks again finds out by name. */
export interface Launcher {
  create(job: Job): Promise<Created | Held>
  /** The Job of this name, if it is this run's. */
  get(job: JobRef): Promise<JobView | undefined>
  /** Gets ready what only a Job needs. */
  warm?(): Promise<unknown>
  /** Ends the Job if it is there and this run's. Ending it again changes nothing. */
  stop(job: JobRef): Promise<void>
}
