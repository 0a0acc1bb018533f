import type { Db } from '#shared/db/connect.ts'
import type { Row } from '#shared/db/schema.ts'
import { currentTrace, inSpan, isTracing, traceIdOf, type OpenSpan } from '#shared/telemetry/trace.ts'

/**
 * `traceparent` of what happens to a run now: of the work under way if that belongs to the run's trace, else of what created
 * the run. A sweep, the start of a queued run by the end of another, a new attempt: all stay in the run's own trace.
 */
export function traceOfRun({ traceparent }: Pick<Row<'runs'>, 'traceparent'>): string | undefined {
  const current = currentTrace()
  if (traceparent === null) return current
  return current !== undefined && traceIdOf(current) === traceIdOf(traceparent) ? current : traceparent
}

/** A call of a run's agent as a span of the run's trace. What the agent itself says about traces is not asked for. */
export async function inRunSpan<T>(
  db: Db,
  run: string,
  route: string,
  work: (span?: OpenSpan) => Promise<T>,
): Promise<T> {
  if (!isTracing()) return work()
  const row = await db.selectFrom('runs').select('traceparent').where('id', '=', run).executeTakeFirst()
  return inSpan({ name: route, kind: 'server', parent: row?.traceparent, attributes: { 'codex_k8s.run': run } }, work)
}
