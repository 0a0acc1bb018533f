import * as v from 'valibot'
import type { Row } from '#shared/db/schema.ts'
import { RetryLater } from '#shared/errors.ts'
import { RunEvent } from '#shared/events/types.ts'
import type { Manifest } from '#shared/job/bundle.ts'
import type { Handler, Writer } from '#shared/outbox/deliver.ts'
import { opens } from '#shared/workflow/gate.ts'

/** A run that waits, with the gate its bundle was made under. */
export interface Waiting {
  readonly run: Row<'runs'>
  readonly gate: Manifest['gate']
}

/** What this function needs from the world, and nothing more. */
export interface Deps {
  waiting(runId: string): Promise<Waiting | undefined>
  /** Lets the run go on; RetryLater of 0 seconds when it moved meanwhile. */
  approve(writer: Writer, waiting: Waiting): Promise<void>
  /** Records what has to be approved, by whom and until when. Recording it again changes nothing. */
  request(writer: Writer, waiting: Waiting, gate: NonNullable<Manifest['gate']>): Promise<void>
}

/** Holds a stage until the policy of its bundle is met; a stage without a gate passes. */
export function approvalGate(deps: Deps): Handler {
  return async (event) => {
    const waiting = await deps.waiting(v.parse(RunEvent, event.data).run)
    if (waiting === undefined) throw new RetryLater('the run is not visible yet')
    if (waiting.run.state !== 'waiting_approval') return { outcome: `ignored: the run is ${waiting.run.state}` }
    const { gate } = waiting
    if (gate === null || opens(gate)) return { outcome: 'no gate', write: (writer) => deps.approve(writer, waiting) }
    return { outcome: 'waits for approval', write: (writer) => deps.request(writer, waiting, gate) }
  }
}
