/** The input can never be handled: repeating it gives the same answer. The edge answers 422, the broker dead-letters at once. */
export class PermanentError extends Error {
  override readonly name = 'PermanentError'
}

/** The world is not ready. The edge answers 503 with `Retry-After: seconds`; the broker and the sweep try again. */
export class RetryLater extends Error {
  override readonly name = 'RetryLater'
  readonly seconds: number

  constructor(message: string, options: ErrorOptions & { readonly seconds?: number } = {}) {
    super(message, options)
    this.seconds = options.seconds ?? 5
  }
}

/** Code of the problem document of an error that is neither of the two: the consumer's own word that it failed. */
export const FAULT_CODE = 'fault'
