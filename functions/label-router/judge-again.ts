import * as v from 'valibot'
import { PermanentError } from '#shared/errors.ts'
import type { Delivered } from '#shared/events/delivered.ts'
import { RunEvent } from '#shared/events/types.ts'
import type { Settlement } from '#shared/outbox/deliver.ts'
import { retryOf } from '#shared/run/retry.ts'
import { askPolicy, mayAsk } from '#shared/workflow/may-ask.ts'
import type { ReasonCode } from '#shared/workflow/reasons.ts'
import { currentOf, knownIn } from './content.ts'
import { decideCancel, decideRevisionAgain } from './decide.ts'
import type { Deps } from './handler.ts'

/** A run that waited is due: is the one who asked still somebody who may, and is it still wanted? */
export async function judgeAgain(deps: Deps, event: Delivered): Promise<Settlement> {
  const run = await deps.run(v.parse(RunEvent, event.data).run)
  if (run?.state !== 'queued') return { outcome: 'ignored: the run does not wait any more' }
  const project = await deps.project(run.project_id)
  if (project === undefined) throw new PermanentError(`run ${run.id} has no project`)
  // That it is an issue is only said where its row would be new; it has a run, so it has a row.
  const subject = { id: run.subject_id, number: run.subject_number, kind: 'issue' } as const
  const look = { project, subject, version: await deps.subjectVersion(project.id, run.subject_id) }
  const forge = deps.forge(project)
  const cancel = (reason: ReasonCode): Settlement => ({
    outcome: `cancels: ${reason}`,
    write: (writer) => deps.cancelRuns(writer, look, { stage: run.stage }, reason),
  })
  if ((await forge.repositoryId()) !== project.repository_id) return cancel('repository_gone')
  const revision = await deps.revision(run)
  const [now, shown, pull] = await Promise.all([
    forge.permission(run.requester_login),
    forge.subject(run.subject_number),
    revision && forge.pullRequest(revision.pull),
  ])
  if (!mayAsk({ id: run.requester_id, type: 'User', now }, askPolicy(project.settings))) return cancel('actor_revoked')
  const current = currentOf(project, run.subject_id, shown)
  // A retry is not asked for by a label: the one of the run that failed went with it.
  const label = retryOf(run.label_event_id) === undefined ? run.label : undefined
  const reason = revision
    ? decideRevisionAgain(revision, label, current, pull && { ...pull, labels: knownIn(project, pull.labels) })
    : decideCancel('unlabeled', label, current)
  if (reason !== undefined) return cancel(reason)
  return { outcome: 'still wanted', write: (writer) => deps.renewRun(writer, run.id) }
}
