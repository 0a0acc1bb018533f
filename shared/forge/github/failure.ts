import { PermanentError, RetryLater } from '#shared/errors.ts'
import { SILENCE } from '#shared/pace.ts'

/**
 * GitHub understood the request and refused what is in it (400, 413, 422). Capabilities turn the refusals they expect into values; one
 * that nobody expected is permanent. Carries the status and GitHub's sentence, never the request or its headers.
 */
export class Refused extends PermanentError {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/**
 * What was asked for is not there, or not for us to see, or elsewhere (404, 410, 409 of an empty repository, a redirect). Capabilities
 * turn the ones that are answers into values; any other is tried again, because a repository may come back or be connected anew.
 */
export class NotThere extends RetryLater {
  readonly status: number

  constructor(status: number, message: string) {
    super(message, { seconds: 60 })
    this.status = status
  }
}

/** GitHub knows us and does not let us (401, 403 that is no limit). A person repairs that, so it is tried again. */
export class Denied extends RetryLater {
  constructor(message: string) {
    super(message, { seconds: 60 })
  }
}

/** The parts of an octokit error that are looked at. */
interface HttpFailure extends Error {
  readonly status: number
  readonly response?: { readonly headers: Readonly<Record<string, unknown>> }
}

const isHttpFailure = (error: unknown): error is HttpFailure =>
  error instanceof Error && 'status' in error && typeof error.status === 'number'

/** A rate limit, primary or secondary, with the seconds that GitHub named (1 to 3,600); undefined if the answer is something else. */
export function rateLimit(error: unknown, now = Date.now()): { readonly seconds: number | undefined } | undefined {
  if (!isHttpFailure(error) || (error.status !== 403 && error.status !== 429)) return undefined
  const headers = error.response?.headers ?? {}
  const isUsedUp = headers['x-ratelimit-remaining'] === '0'
  const after = Number(headers['retry-after'] ?? Number.NaN)
  // A second more, because the forge's clock is not ours.
  const untilReset = Number(headers['x-ratelimit-reset'] ?? Number.NaN) - now / 1000 + 1
  const named = [after, ...(isUsedUp ? [untilReset] : [])].find((seconds) => Number.isFinite(seconds))
  if (named !== undefined) return { seconds: Math.min(SILENCE.longest, Math.max(1, Math.ceil(named))) }
  const isLimit = isUsedUp || error.status === 429 || /secondary rate|abuse/i.test(error.message)
  return isLimit ? { seconds: undefined } : undefined
}

/**
 * What leaves this folder for an octokit error that is no rate limit: `Refused`, `NotThere`, or RetryLater for all that says nothing about
 * the question (401, 403, 5xx, timeouts, resets). 401 and 403 are about our credentials and get repaired by a person: the run waits.
 */
export function failure(error: unknown, what: string): Error {
  if (error instanceof PermanentError || error instanceof RetryLater) return error
  if (!isHttpFailure(error)) return new RetryLater(`${what}: ${sentence(error)}`, { seconds: 10 })
  const message = `${what}: ${error.status} ${sentence(error)}`
  if (error.status === 401 || error.status === 403) return new Denied(message)
  if (error.response === undefined) return new RetryLater(message, { seconds: 10 })
  if ([301, 302, 307, 308, 404, 409, 410].includes(error.status)) return new NotThere(error.status, message)
  if ([400, 413, 422].includes(error.status)) return new Refused(error.status, message)
  return new RetryLater(message, { seconds: 10 })
}

const sentence = (error: unknown) => (error instanceof Error ? error.message : 'failed').slice(0, 300)

/** Whether GitHub said that there is no such thing (404, 410), which a capability may take for its answer. */
export const isAbsent = (error: unknown): boolean =>
  error instanceof NotThere && (error.status === 404 || error.status === 410)

/** The data of an answer, or undefined where GitHub says that there is no such thing. */
export async function found<T>(answer: Promise<{ readonly data: T }>): Promise<T | undefined> {
  try {
    return (await answer).data
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw error
  }
}
