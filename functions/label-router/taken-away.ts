import type { Settlement } from '#shared/outbox/deliver.ts'
import { labelGroup, renamesIn } from '#shared/workflow/labels.ts'
import { currentOf } from './content.ts'
import { decideCancel } from './decide.ts'
import type { IssuesEvent, PullRequestEvent } from './event.ts'
import type { Deps, Project, Which } from './handler.ts'

/** A run label that was taken off a pull request: what it asked for belongs to an issue. */
export async function takenOff(deps: Deps, project: Project, change: PullRequestEvent): Promise<Settlement> {
  const known = labelGroup(change.label.name, renamesIn(project.settings))
  if (known?.group !== 'run') return { outcome: 'ignored: not a run label' }
  const on = change.pull_request.number
  const target = await deps.changeOfPull(project.id, on)
  if (target === undefined) return { outcome: 'ignored: the pull request is not ours' }
  const { subject } = target
  const look = { project, subject, version: await deps.subjectVersion(project.id, subject.id) }
  const shown = await deps.forge(project).subject(on)
  const reason = decideCancel(change.action, known.label, shown && currentOf(project, shown.id, shown))
  if (reason === undefined) return { outcome: 'ignored: it is not so any more' }
  return {
    outcome: `cancels: ${reason}`,
    write: (writer) => deps.cancelRuns(writer, look, { label: known.label, on }, reason),
  }
}

/** A label, or the issue itself, was taken away: what was asked for there is cancelled. */
export async function takenAway(deps: Deps, project: Project, change: IssuesEvent): Promise<Settlement> {
  const known = labelGroup(change.label?.name ?? '', renamesIn(project.settings))
  if (change.action === 'unlabeled' && known?.group !== 'run') return { outcome: 'ignored: not a run label' }
  const { id, number, pull_request } = change.issue
  const kind = pull_request === undefined ? 'issue' : 'pull_request'
  const look = { project, subject: { id, number, kind }, version: await deps.subjectVersion(project.id, id) } as const
  const shown = await deps.forge(project).subject(number)
  const reason = decideCancel(change.action, known?.label, currentOf(project, id, shown))
  if (reason === undefined) return { outcome: 'ignored: it is not so any more' }
  const which: Which = reason === 'label_removed' && known !== undefined ? { label: known.label, on: number } : 'all'
  return {
    outcome: `cancels: ${reason}`,
    write: (writer) => deps.cancelRuns(writer, look, which, reason),
  }
}
