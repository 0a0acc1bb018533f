import { sha256 } from '#shared/digest.ts'
import type { AttemptRef } from '#shared/job/token.ts'
import type { RunInput } from '#shared/job/bundle.ts'
import type { Progress, ResultManifest } from '#shared/job/result.ts'

/** An attempt that may speak: the newest of its run, not over, within its deadline. */
export interface OpenAttempt extends AttemptRef {
  readonly project: string
  readonly bundleDigest: string
}

/** Why an attempt may not speak any more. All are final for it. */
export type Closed = 'fenced' | 'run_over' | 'attempt_closed' | 'deadline_exceeded'

/** What became of a result. */
export type ResultOutcome = 'accepted' | 'repeated' | 'conflict' | 'unknown_blob' | Closed

/** What this function needs from the world, and nothing more. */
export interface Deps {
  attempt(ref: AttemptRef): Promise<OpenAttempt | Closed>
  input(attempt: OpenAttempt): Promise<RunInput>
  /** A blob that the attempt's bundle names; no other. */
  inputBlob(attempt: OpenAttempt, digest: string): Promise<Buffer | undefined>
  saveBlob(attempt: OpenAttempt, digest: string, bytes: Buffer): Promise<'saved' | 'full'>
  /** The agent's runner is alive, whatever the agent does. */
  saveHeartbeat(attempt: OpenAttempt): Promise<void>
  saveProgress(attempt: OpenAttempt, progress: Progress): Promise<void>
  saveResult(ref: AttemptRef, result: ResultManifest): Promise<ResultOutcome>
}

/** Stores an uploaded blob under the digest its sender claims, if the bytes agree. */
export async function upload(
  deps: Deps,
  attempt: OpenAttempt,
  digest: string,
  bytes: Buffer,
): Promise<'saved' | 'full' | 'mismatch'> {
  return sha256(bytes) === digest ? deps.saveBlob(attempt, digest, bytes) : 'mismatch'
}
