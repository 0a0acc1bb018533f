import { crashPoint } from '#shared/crash-point.ts'
import { RetryLater } from '#shared/errors.ts'
import { chain, type Link, type Recorded } from './chain.ts'
import type { Head } from '#shared/ledger/verify.ts'

/** The end of the ledger, and the oldest records behind it that are to be appended, in order; some hundred at most. */
export interface Pending {
  readonly head: Head
  readonly records: readonly Recorded[]
}

/** What this function needs from the world, and nothing more. */
export interface Deps {
  /** Appends the links if they continue the chain right after the entry `after`, all or, if it has grown since, none. */
  append(after: number, links: readonly Link[]): Promise<Pending>
}

/**
 * Appends what is committed and not in the ledger until nothing is left, and returns how much that was. An event is only
 * the knock at the door: what a broker loses, repeats or makes up is no matter. Another appender is no matter either: who
 * comes second with the same records is told the new head.
 */
export function auditSink(deps: Deps): (deadline: AbortSignal) => Promise<number> {
  return async (deadline) => {
    let appended = 0
    let pending = await deps.append(0, [])
    while (pending.records.length > 0) {
      if (deadline.aborted) throw new RetryLater(`${appended} appended, and there is more`, { seconds: 1 })
      const { head, records } = pending
      const links = chain(head, records)
      crashPoint('audit.before-append')
      pending = await deps.append(head.seq, links)
      crashPoint('audit.after-append')
      if (links.at(-1)?.hash === pending.head.hash) appended += links.length
    }
    return appended
  }
}
