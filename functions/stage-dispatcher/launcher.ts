/** What one attempt is started with. Everything else the agent fetches with its token. */
export interface Job {
  /** From run and attempt, so that creating it again meets the first one. */
  readonly name: string
  readonly run: string
  readonly attempt: number
  /** The project's own image. */
  readonly image: string
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

/** A Job as it is now. */
export interface JobView {
  readonly uid: string
  readonly run: string
  readonly state: 'waiting' | 'running' | 'ended'
  /** How it ended, for a person. */
  readonly end?: string
  /** Which limit ended it, if one did. */
  readonly cause?: 'deadline' | 'silence'
}

/** Where Jobs run. An unknown outcome is a RetryLater: whoever asks again finds out by name. */
export interface Launcher {
  create(job: Job): Promise<Created>
  get(name: string): Promise<JobView | undefined>
  /** Ends the Job if it is there. Ending it again changes nothing. */
  stop(name: string): Promise<void>
}
