import { crashPoint } from '#shared/crash-point.ts'
import { RetryLater } from '#shared/errors.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import type { LabelChange, LabelChanges } from '#shared/forge/github/label-events.ts'
import type { Log } from '#shared/log.ts'
import type { Emission } from '#shared/outbox/write.ts'
import { labelGroup, renamesIn } from '#shared/workflow/labels.ts'
import type { LabelFound } from './found.ts'
import type { Project } from './handler.ts'

/** A repository whose label events are due, claimed until its next scan. `from` and `until` bound what is looked at. */
export interface DueScan {
  readonly project: Project
  readonly from: Date
  readonly until: Date
  readonly page: number
}

/** What a scan needs from the world. */
export interface ScanDeps {
  dueScan(graceSeconds: number): Promise<DueScan | undefined>
  changes(project: Project, page: number): Promise<LabelChanges>
  /** Of these label events the ones that have no run, no delivery under way and no event of this kind. */
  unknown(project: Project, changes: readonly LabelChange[]): Promise<readonly LabelChange[]>
  /** Writes the events and, in the same transaction, how far was read: to `next`, or to the end. Returns their outbox rows. */
  record(scan: DueScan, events: readonly Emission[], next: number | undefined): Promise<readonly string[]>
  postpone(scan: DueScan, seconds: number): Promise<void>
  readonly log: Log
}

/**
 * Label events that no delivery brought and none will: the list was not to be read, the hook was gone, or it is too long ago.
 * A label that was set and taken off again meanwhile asks for nothing any more.
 */
export function labelScan(deps: ScanDeps) {
  return async (graceSeconds: number, deadline: AbortSignal): Promise<readonly string[]> => {
    const written: string[] = []
    for (let due = await deps.dueScan(graceSeconds); due; due = await deps.dueScan(graceSeconds)) {
      await scan(deps, due, deadline, written)
      if (deadline.aborted) break
    }
    return written
  }
}

async function scan(deps: ScanDeps, due: DueScan, deadline: AbortSignal, written: string[]): Promise<void> {
  const { project } = due
  // By subject and label: what happened later than the change that is looked at.
  const later = new Set<string>()
  try {
    for (let page: number | undefined = due.page; page !== undefined;) {
      if (deadline.aborted) return await deps.postpone(due, 0)
      const { changes, oldest, isLast } = await deps.changes(project, page)
      page = isLast || oldest === undefined || oldest < due.from ? undefined : page + 1
      const asking = changes.filter((change) => asks(project, change, later) && isWithin(due, change))
      const found = await deps.unknown(project, asking)
      written.push(
        ...(await deps.record(
          due,
          found.map((change) => emissionOf(project, change)),
          page,
        )),
      )
      crashPoint('catch-up.after-scan-page')
      for (const { subject, label, id } of found)
        deps.log.warn(
          { project: project.id, subject: subject.number, label, labelEvent: id },
          'no delivery told of this label',
        )
    }
  } catch (error) {
    if (!(error instanceof RetryLater)) throw error
    deps.log.warn({ project: project.id, err: error }, 'the label events could not be read')
    await deps.postpone(due, error.seconds)
  }
}

/** Whether this change is the last word on a run label that is still there. */
function asks(project: Project, { kind, label, subject, actor }: LabelChange, later: Set<string>): boolean {
  const key = `${subject.id} ${label.normalize('NFC')}`
  if (later.has(key)) return false
  later.add(key)
  if (kind !== 'labeled' || actor === null || actor.id === project.own_actor_id || !subject.open) return false
  const isThere = subject.labels.some((each) => each.normalize('NFC') === label.normalize('NFC'))
  return isThere && labelGroup(label, renamesIn(project.settings))?.group === 'run'
}

function isWithin({ from, until }: DueScan, { createdAt }: LabelChange): boolean {
  return createdAt >= from && createdAt <= until
}

/** The same label event found twice is the same event. */
export function foundId(project: Project, labelEventId: string): string {
  return `${project.repository_id}/${labelEventId}`
}

function emissionOf(project: Project, { id, label, createdAt, actor, subject }: LabelChange): Emission {
  const { id: subjectId, number, kind } = subject
  const data: LabelFound = {
    project: project.id,
    subject: { id: subjectId, number, kind },
    label,
    labelEvent: { id, createdAt: createdAt.toISOString() },
    actor: { id: actor?.id ?? '', login: actor?.login ?? '', type: actor?.type ?? '' },
  }
  return {
    type: EVENT_TYPES.labelFound,
    id: foundId(project, id),
    subject: `repositories/${project.repository_id}/issues/${number}`,
    extensions: {
      provider: project.provider,
      project: project.id,
      repository: project.repository_id,
      labelgroup: 'run',
      label: labelGroup(label, renamesIn(project.settings))?.label,
      partitionkey: `${project.repository_id}#${number}`,
    },
    data,
    rows: {},
  }
}
