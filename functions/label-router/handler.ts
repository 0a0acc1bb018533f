import * as v from 'valibot'
import type { Row } from '#shared/db/schema.ts'
import { PermanentError, RetryLater } from '#shared/errors.ts'
import type { Delivered } from '#shared/events/delivered.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import type { readReviews } from '#shared/forge/github/review.ts'
import type { Manifest, ReviewContent } from '#shared/job/bundle.ts'
import type { Handler, Settlement, Writer } from '#shared/outbox/deliver.ts'
import { schemaProblems } from '#shared/schema-problems.ts'
import { labelGroup, renamesIn, type KnownLabel } from '#shared/workflow/labels.ts'
import type { Permission } from '#shared/workflow/may-ask.ts'
import type { ReasonCode } from '#shared/workflow/reasons.ts'
import type { Workflow } from '#shared/workflow/workflow.ts'
import type { Current } from './decide.ts'
import { IssuesEvent, PullRequestEvent, ReviewEvent } from './event.ts'
import { found } from './found.ts'
import { judgeAgain } from './judge-again.ts'
import { judge } from './judge.ts'
import type { Bundle } from './manifest.ts'
import { reviseByReview } from './revise-requests.ts'
import { takenAway, takenOff } from './taken-away.ts'

/** A connected repository, as the router needs it. */
export type Project = Row<'projects'>

/** An issue or a pull request; `id` is that of the issue side. */
export interface Subject {
  readonly id: string
  readonly number: number
  readonly kind: 'issue' | 'pull_request'
}

/** A comment on an issue or a pull request. */
export interface Comment {
  readonly author: string
  readonly authorId: string | null
  readonly createdAt: string
  readonly updatedAt: string
  readonly body: string
}

/** A pull request as the forge shows it. */
export interface Pull {
  readonly number: number
  readonly state: 'open' | 'closed' | 'merged'
  readonly title: string
  readonly body: string
  readonly authorId: string
  readonly branch: string
  /** The commit at the head of the branch. */
  readonly head: string
  readonly labels: readonly string[]
}

/** A change and the issue it is for. */
export interface Target {
  readonly change: Row<'changes'>
  readonly subject: Subject
}

/** What earlier runs left for one that goes on with their change. */
export interface History {
  /** Of the newest run of the change, and of the issue. */
  readonly changeStage: string | undefined
  readonly issueStage: string | undefined
  /** Of the newest run of the change that succeeded. */
  readonly session: string | null
  readonly previous: ReviewContent['previous']
  readonly model: string | undefined
  readonly effort: string | undefined
}

/** An issue or pull request that the forge is asked about. */
export interface Look {
  readonly project: Project
  /** What runs belong to; its lock is taken. */
  readonly subject: Subject
  /** Its version from before the forge was asked: with another one under the lock the answer is out of date. */
  readonly version: number
}

/** The intent of a person, by the forge's own id of the label event. */
export interface Intent extends Look {
  /** Where it was asked, if not there: a refusal is said here. */
  readonly askedOn?: Subject
  /** `takenOff`: the same label was removed later, whether or not somebody has set it again. */
  readonly labelEvent: { readonly id: string; readonly createdAt: Date; readonly takenOff?: boolean }
  readonly label: string
  readonly stage: string
  readonly requester: { readonly id: string; readonly login: string }
}

/** A label event of the group `run` that the forge has confirmed. */
export interface Asked {
  readonly known: KnownLabel
  readonly subject: Intent['subject']
  readonly labelEvent: Intent['labelEvent']
  readonly sender: { readonly id: string; readonly login: string; readonly type: string }
  /** The head of the pull request that the person looked at, where the forge says so. */
  readonly head?: string
  /** Title and body as they were when the label was set; undefined when nobody can say any more. */
  text(current: Current): Promise<{ readonly title: string; readonly body: string } | undefined>
}

/** What the forge says, for one repository. Every look-up that fails is a RetryLater, never a yes. */
export interface Forge {
  labelEvent(number: number, label: string, actorId: string, notAfter: Date): Promise<Intent['labelEvent'] | undefined>
  permission(login: string): Promise<{ readonly actorId: string; readonly permission: Permission }>
  subject(number: number): Promise<(Current & { readonly id: string }) | undefined>
  comments(number: number, notAfter: Date): Promise<readonly Comment[]>
  /** Whether title or body were changed at this time or later. */
  edited(number: number, since: Date): Promise<boolean>
  pullRequest(number: number): Promise<Pull | undefined>
  reviews(number: number, notAfter: Date): ReturnType<typeof readReviews>
  /** The default branch and its head; undefined for an empty repository. */
  base(): Promise<{ readonly ref: string; readonly commit: string } | undefined>
  /** Numeric id of the repository that has the name now. */
  repositoryId(): Promise<string | undefined>
}

/** Which runs of a subject: all of them, the one of a stage, or the one that a label on a number asked for. */
export type Which = 'all' | { readonly stage: string } | { readonly label: string; readonly on: number }

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
  /** The change that has this pull request. */
  changeOfPull(projectId: string, pullNumber: number): Promise<Target | undefined>
  /** The newest changes of an issue that have a pull request. */
  changesOf(projectId: string, subjectId: string, most: number): Promise<readonly Target[]>
  history(change: Row<'changes'>): Promise<History>
  /** The change that a run goes on with, from its bundle. */
  revision(run: Row<'runs'>): Promise<Manifest['revise']>
  /** Cancels active runs of the subject, and has whoever looked before us look again. */
  cancelRuns(writer: Writer, look: Look, which: Which, reason: ReasonCode): Promise<void>
  /** Lets a run that had waited go on: it was judged again just now. */
  renewRun(writer: Writer, runId: string): Promise<void>
}

/** Parse, load, decide, write. */
export function labelRouter(deps: Deps): Handler {
  return async (event) => {
    if (event.type === EVENT_TYPES.stageDue) return judgeAgain(deps, event)
    if (event.type === EVENT_TYPES.labelFound) return found(deps, event)
    const project = event.projectId === null ? undefined : await deps.project(event.projectId)
    if (project === undefined || project.state !== 'connected')
      return { outcome: 'ignored: the repository is not connected' }
    const change = parse(event)
    if (change.sender.id === project.own_actor_id) return { outcome: 'ignored: our own event' }
    if ('issue' in change) {
      if (change.action !== 'labeled') return takenAway(deps, project, change)
    } else if (change.action === 'unlabeled') return takenOff(deps, project, change)
    const forge = deps.forge(project)
    if ((await forge.repositoryId()) !== project.repository_id)
      return { outcome: 'ignored: another repository has this name now' }
    if ('review' in change) return reviseByReview(deps, project, forge, change)
    return 'issue' in change ? labelled(deps, project, forge, change) : labelledPull(deps, project, forge, change)
  }
}

/** The event by its schema. What each schema names is enough to tell them apart. */
function parse({ type, data }: Delivered): IssuesEvent | PullRequestEvent | ReviewEvent {
  const schema = type.startsWith('com.github.pull_request_review.')
    ? ReviewEvent
    : type.startsWith('com.github.pull_request.')
      ? PullRequestEvent
      : IssuesEvent
  const parsed = v.safeParse(schema, data)
  if (parsed.success) return parsed.output
  throw new PermanentError(`not such an event: ${schemaProblems(parsed.issues)}`)
}

async function labelled(deps: Deps, project: Project, forge: Forge, change: IssuesEvent): Promise<Settlement> {
  const known = labelGroup(change.label?.name ?? '', renamesIn(project.settings))
  if (known?.group !== 'run') return { outcome: 'ignored: not a run label' }
  const { issue, sender } = change
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

/** A run label on a pull request: the forge tells of it by another event than on an issue. */
async function labelledPull(deps: Deps, project: Project, forge: Forge, change: PullRequestEvent): Promise<Settlement> {
  const known = labelGroup(change.label.name, renamesIn(project.settings))
  if (known?.group !== 'run') return { outcome: 'ignored: not a run label' }
  const { sender, pull_request: pull } = change
  const notAfter = new Date(Date.parse(pull.updated_at) + 2_000)
  const [shown, labelEvent] = await Promise.all([
    forge.subject(pull.number),
    forge.labelEvent(pull.number, change.label.name, sender.id, notAfter),
  ])
  if (shown === undefined) return { outcome: 'ignored: the pull request is gone' }
  if (labelEvent === undefined) throw new RetryLater(`the label event on #${pull.number} is not visible yet`)
  return judge(deps, project, forge, {
    known,
    subject: { id: shown.id, number: pull.number, kind: 'pull_request' },
    labelEvent,
    sender,
    head: pull.head.sha,
    text: ({ title, body }) => Promise.resolve({ title, body }),
  })
}
