import { ApiException } from '@kubernetes/client-node'
import { Failure } from './failure.ts'

/** Asks the Kubernetes API for something; what it refuses is said in its own words, and what right is missing. */
export async function askCluster<T>(what: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    if (error instanceof Failure) throw error
    if (!(error instanceof ApiException))
      throw new Failure(`the cluster cannot be asked for ${what}: ${causeOf(error)}`)
    const says = messageIn(error.body)
    if (error.code === 404) throw new Failure(`${what} is not in the cluster`, says, { cause: error })
    if (error.code === 403) throw new Failure(`you may not have ${what}`, says, { cause: error })
    throw new Failure(`the cluster gives no ${what}: ${error.code} ${says}`, undefined, { cause: error })
  }
}

/** Whether the failure is that status of the API server. */
export function isStatus(error: unknown, code: number): boolean {
  return error instanceof Failure && error.cause instanceof ApiException && error.cause.code === code
}

/** The innermost word about why the network failed; fetch says no more than `fetch failed`. */
export function causeOf(error: unknown): string {
  let inner = error
  while (inner instanceof Error && inner.cause instanceof Error) inner = inner.cause
  // A WebSocket fails with an event, which has a message and is no Error.
  const { message, code } = inner as { readonly message?: string; readonly code?: string }
  return message || code || 'for no reason that was given'
}

/** The message of a Status object, which may come as text. */
function messageIn(body: unknown): string {
  try {
    const status = (typeof body === 'string' ? JSON.parse(body) : body) as { message?: unknown } | null
    return typeof status?.message === 'string' ? status.message : ''
  } catch {
    return ''
  }
}
