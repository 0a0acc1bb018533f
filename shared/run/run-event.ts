import type { Row } from '#shared/db/schema.ts'
import type { PlatformType, RunEvent } from '#shared/events/types.ts'
import type { ChangedRows, Emission } from '#shared/outbox/write.ts'
import { traceOfRun } from '#shared/run/trace.ts'

/** What one event of a run says beyond the run itself. */
export interface Saying {
  readonly rows: ChangedRows
  readonly attempt?: number
  readonly reason?: string
}

/** An event about a run: thin, with what a trigger may filter on as extensions. */
export function runEvent(type: PlatformType, run: Row<'runs'>, { rows, attempt, reason }: Saying): Emission {
  const data: RunEvent = {
    run: run.id,
    project: run.project_id,
    stage: run.stage,
    ...(attempt !== undefined && { attempt }),
    ...(reason !== undefined && { reason }),
  }
  return {
    type,
    subject: `runs/${run.id}`,
    extensions: {
      provider: run.provider,
      project: run.project_id,
      repository: run.repository_id,
      run: run.id,
      stage: run.stage,
      traceparent: traceOfRun(run),
      partitionkey: `${run.repository_id}#${run.subject_number}`,
    },
    data,
    rows,
  }
}
