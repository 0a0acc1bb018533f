import * as v from 'valibot'
import type { Row } from '#shared/db/schema.ts'
import { PermanentError, RetryLater } from '#shared/errors.ts'
import type { Delivered } from '#shared/events/delivered.ts'
import { EVENT_TYPES, RunEvent } from '#shared/events/types.ts'
import type { Handler, Settlement, Writer } from '#shared/outbox/deliver.ts'
import { schemaProblems } from '#shared/schema-problems.ts'
import { labelGroup, renamesIn } from '#shared/workflow/labels.ts'
import { askPolicy, mayAsk, type Permission } from '#shared/workflow/may-ask.ts'
import type { ReasonCode } from '#shared/workflow/reasons.ts'
import type { Workflow } from '#shared/workflow/workflow.ts'
import { decideCancel, type Current } from './decide.ts'
import { IssuesEvent } from './event.ts'
import { found } from './found.ts'
import { currentOf, judge } from './judge.ts'
import type { Bundle } from './manifest.ts'

/** A connected repository, as the router needs it. */
export type Project = Row<'projects'>

/** An issue or pull request that the forge is asked about. */
export interface Look {
  readonly project: Project
  readonly subject: { readonly id: string; readonly number: number; readonly kind: 'issue' | 'pull_request' }
  /** Its version from before the forge was asked: with another one under the lock the answer is out of date. */
  readonly version: number
}

/** The intent of a person, by the forge's own id of the label event. */
export interface Intent extends Look {
  readonly labelEvent: { readonly id: string; readonly createdAt: Date }
  readonly label: string
  readonly stage: string
  readonly requester: { readonly id: string; readonly login: string }
}

/** What the forge says, for one repository. Every look-up that fails is a RetryLater, never a yes. */
export interface Forge {
  labelEvent(number: number, label: string, actorId: string, notAfter: Date): Promise<Intent['labelEvent'] | undefined>
  permission(login: string): Promise<{ readonly actorId: string; readonly permission: Permission }>
  subject(number: number): Promise<(Current & { readonly id: string }) | undefined>
  comments(
    number: number,
    notAfter: Date,
  ): Promise<readonly { author: string; authorId: string | null; createdAt: string; updatedAt: string; body: string }[]>
  /** Whether title or body were changed at this time or later. */
  edited(number: number, since: Date): Promise<boolean>
  /** The default branch and its head; undefined for an empty repository. */
  base(): Promise<{ readonly ref: string; readonly commit: string } | undefined>
  /** Numeric id of the repository that has the name now. */
  repositoryId(): Promise<string | undefined>
}

/** What this function needs from the world, and nothing more. */
export interface Deps {
  readonly workflow: Workflow
  readonly models: readonly string[]
  readonly model: string | undefined
  project(id: string): Promise<Project | undefined>
  run(id: string): Promise<Row<'runs'> | undefined>
  /** 0 for a subject that nothing was heard of yet. */
  subjectVersion(projectId: string, subjectId: string): Promise<number>
  forge(project: Project): Forge
  createRun(writer: Writer, intent: Intent, bundle: Bundle): Promise<void>
  refuseRun(writer: Writer, intent: Intent, reason: ReasonCode, detail: string | undefined): Promise<void>
  /** Cancels the active runs of the subject, or of one stage of it, and has whoever looked before us look again. */
  cancelRuns(writer: Writer, look: Look, stage: string | undefined, reason: ReasonCode): Promise<void>
  /** Lets a run that had waited go on: it was judged again just now. */
  renewRun(writer: Writer, runId: string): Promise<void>
}

/** Parse, load, decide, write. */
export function labelRouter(deps: Deps): Handler {
  return async (event) => {
    if (event.type === EVENT_TYPES.stageDue) return judgeAgain(deps, event)
    if (event.type === EVENT_TYPES.labelFound) return found(deps, event)
    const parsed = v.safeParse(IssuesEvent, event.data)
    if (!parsed.success) throw new PermanentError(`not an issues event: ${schemaProblems(parsed.issues)}`)
    const project = event.projectId === null ? undefined : await deps.project(event.projectId)
    if (project === undefined || project.state !== 'connected')
      return { outcome: 'ignored: the repository is not connected' }
    const change = parsed.output
    if (change.sender.id === project.own_actor_id) return { outcome: 'ignored: our own label event' }
    return change.action === 'labeled' ? labelled(deps, project, change) : takenAway(deps, project, change)
  }
}

async function labelled(deps: Deps, project: Project, change: IssuesEvent): Promise<Settlement> {
  const known = labelGroup(change.label?.name ?? '', renamesIn(project.settings))
  if (known?.group !== 'run') return { outcome: 'ignored: not a run label' }
  const forge = deps.forge(project)
  const { issue, sender } = change
  if ((await forge.repositoryId()) !== project.repository_id)
    return { outcome: 'ignored: another repository has this name now' }

  const notAfter = new Date(Date.parse(issue.updated_at) + 2_000)
  const labelEvent = await forge.labelEvent(issue.number, change.label?.name ?? '', sender.id, notAfter)
  if (labelEvent === undefined) throw new RetryLater(`the label event on #${issue.number} is not visible yet`)

  return judge(deps, project, forge, {
    known,
    subject: { id: issue.id, number: issue.number, kind: issue.pull_request === undefined ? 'issue' : 'pull_request' },
    labelEvent,
    sender,
    // As signed.
    text: () => Promise.resolve({ title: issue.title, body: issue.body ?? '' }),
  })
}

async function takenAway(deps: Deps, project: Project, change: IssuesEvent): Promise<Settlement> {
  const known = labelGroup(change.label?.name ?? '', renamesIn(project.settings))
  if (change.action === 'unlabeled' && known?.group !== 'run') return { outcome: 'ignored: not a run label' }
  const { id, number, pull_request } = change.issue
  const kind = pull_request === undefined ? 'issue' : 'pull_request'
  const look = { project, subject: { id, number, kind }, version: await deps.subjectVersion(project.id, id) } as const
  const reason = decideCancel(
    change.action,
    known?.label,
    currentOf(project, id, await deps.forge(project).subject(number)),
  )
  if (reason === undefined) return { outcome: 'ignored: it is not so any more' }
  const stage = reason === 'label_removed' ? known?.label.slice('run:'.length) : undefined
  return {
    outcome: `cancels: ${reason}`,
    write: (writer) => deps.cancelRuns(writer, look, stage, reason),
  }
}

/** A run that waited is due: is the one who asked still somebody who may, and is it still wanted? */
async function judgeAgain(deps: Deps, event: Delivered): Promise<Settlement> {
  const run = await deps.run(v.parse(RunEvent, event.data).run)
  if (run?.state !== 'queued') return { outcome: 'ignored: the run does not wait any more' }
  const project = await deps.project(run.project_id)
  if (project === undefined) throw new PermanentError(`run ${run.id} has no project`)
  // That it is an issue is only said where its row would be new; it has a run, so it has a row.
  const subject = { id: run.subject_id, number: run.subject_number, kind: 'issue' } as const
  const look = { project, subject, version: await deps.subjectVersion(project.id, run.subject_id) }
  const forge = deps.forge(project)
  if ((await forge.repositoryId()) !== project.repository_id) {
    const gone = (writer: Writer) => deps.cancelRuns(writer, look, run.stage, 'repository_gone')
    return { outcome: 'cancels: repository_gone', write: gone }
  }
  const [now, shown] = await Promise.all([forge.permission(run.requester_login), forge.subject(run.subject_number)])
  const allowed = mayAsk({ id: run.requester_id, type: 'User', now }, askPolicy(project.settings))
  const reason = allowed
    ? decideCancel('unlabeled', run.label, currentOf(project, run.subject_id, shown))
    : 'actor_revoked'
  if (reason === undefined) return { outcome: 'still wanted', write: (writer) => deps.renewRun(writer, run.id) }
  return {
    outcome: `cancels: ${reason}`,
    write: (writer) => deps.cancelRuns(writer, look, run.stage, reason),
  }
}
