import type { Handler } from '#shared/outbox/deliver.ts'

/** What this function needs from the world, and nothing more. */
export interface Deps {
  /** Appends every committed record that is not in the ledger yet, in order, at least up to this one. */
  appendThrough(outboxId: string): Promise<number>
}

/** An event is only the knock at the door: the ledger is fed from the outbox, so what a broker loses or repeats is no matter. */
export function auditSink(deps: Deps): Handler {
  return async (event) => {
    const appended = await deps.appendThrough(event.outboxId)
    return { outcome: appended === 0 ? 'already in the ledger' : `appended ${appended}` }
  }
}
