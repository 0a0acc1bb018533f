import type { FailureReason } from '#shared/job/result.ts'

/** The attempt ends without a result, for a reason that the status comment has a sentence for. */
export class Failure extends Error {
  override readonly name = 'Failure'
  readonly reason: FailureReason

  constructor(reason: FailureReason, message: string, options?: ErrorOptions) {
    super(message, options)
    this.reason = reason
  }
}
