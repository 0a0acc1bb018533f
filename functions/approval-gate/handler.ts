import * as v from 'valibot'
import { crashPoint } from '#shared/crash-point.ts'
import type { Row } from '#shared/db/schema.ts'
import { PermanentError, RetryLater } from '#shared/errors.ts'
import type { Delivered } from '#shared/events/delivered.ts'
import { EVENT_TYPES, RunEvent } from '#shared/events/types.ts'
import type { Manifest } from '#shared/job/bundle.ts'
import { oneByOne } from '#shared/one-by-one.ts'
import type { Handler, Settlement, Writer } from '#shared/outbox/deliver.ts'
import { expireApproval } from '#shared/run/approval.ts'
import { schemaProblems } from '#shared/schema-problems.ts'
import { readApprovalCommand } from '#shared/workflow/approval-command.ts'
import { opens } from '#shared/workflow/gate.ts'
import { labelGroup, renamesIn } from '#shared/workflow/labels.ts'
import { IssueCommentEvent, LabelEvent } from './event.ts'
import { judge, type Approval, type Command, type JudgeDeps } from './judge.ts'

/** A run that waits, with the gate its bundle was made under. */
export interface Waiting {
  readonly run: Row<'runs'>
  readonly gate: Manifest['gate']
}

/** What this function needs from the world, and nothing more. */
export interface Deps extends JudgeDeps {
  waiting(runId: string): Promise<Waiting | undefined>
  /** Lets the run go on; RetryLater of 0 seconds when it moved meanwhile. */
  approve(writer: Writer, waiting: Waiting): Promise<void>
  /** Records what has to be approved, by whom and until when. Recording it again changes nothing. */
  request(writer: Writer, waiting: Waiting, gate: NonNullable<Manifest['gate']>): Promise<void>
  project(id: string): Promise<Row<'projects'> | undefined>
  /** What was asked for on a subject, newest first, at most ten. */
  approvalsOf(projectId: string, subjectId: string): Promise<readonly Approval[]>
  /** Runs whose approval ran out. */
  ranOut(): Promise<readonly string[]>
  /** One transaction outside a delivery; returns the outbox rows it wrote. */
  write(work: (writer: Writer) => Promise<void>): Promise<readonly string[]>
}

/** Holds a stage until the policy of its bundle is met; a stage without a gate passes. */
export function approvalGate(deps: Deps): Handler {
  return async (event) => {
    if (event.type === EVENT_TYPES.stageRequested) return requested(deps, event)
    const project = event.projectId === null ? undefined : await deps.project(event.projectId)
    if (project === undefined || project.state !== 'connected')
      return { outcome: 'ignored: the repository is not connected' }
    return event.type === 'com.github.issues.labeled'
      ? labelled(deps, project, parse(LabelEvent, event))
      : commented(deps, project, parse(IssueCommentEvent, event))
  }
}

/** Approvals that nobody gave, or used, in time. */
export function sweepGate(deps: Deps): () => Promise<readonly string[]> {
  return async () => {
    const written: string[] = []
    await oneByOne(await deps.ranOut(), async (runId) => {
      const rows = await deps.write(async (writer) => {
        await expireApproval(writer, runId)
        crashPoint('gate.before-expiry-commit')
      })
      written.push(...rows)
    })
    return written
  }
}

async function requested(deps: Deps, event: Delivered): Promise<Settlement> {
  const waiting = await deps.waiting(v.parse(RunEvent, event.data).run)
  if (waiting === undefined) throw new RetryLater('the run is not visible yet')
  if (waiting.run.state !== 'waiting_approval') return { outcome: `ignored: the run is ${waiting.run.state}` }
  const { gate } = waiting
  if (gate === null || opens(gate)) return { outcome: 'no gate', write: (writer) => deps.approve(writer, waiting) }
  return { outcome: 'waits for approval', write: (writer) => deps.request(writer, waiting, gate) }
}

/** A comment that is a command, as the forge shows it now: one that was edited or taken back says nothing. */
async function commented(deps: Deps, project: Row<'projects'>, event: IssueCommentEvent): Promise<Settlement> {
  const { comment, issue, sender } = event
  const said = readApprovalCommand(comment.body)
  if (said === undefined) return { outcome: 'ignored: no command' }
  if (sender.id !== comment.user.id) return { outcome: "ignored: somebody else's comment" }
  const approvals = await deps.approvalsOf(project.id, issue.id)
  if (approvals.length === 0) return { outcome: 'ignored: nothing was to be approved here' }
  const forge = deps.forge(project)
  if ((await forge.repositoryId()) !== project.repository_id)
    return { outcome: 'ignored: another repository has this name now' }
  const now = await forge.comment(comment.id)
  if (now === undefined) return { outcome: 'ignored: the comment is gone' }
  if (now.body !== comment.body || now.edited || now.authorId !== comment.user.id)
    return { outcome: 'ignored: the comment was edited' }
  const viaApp = now.viaApp || (comment.performed_via_github_app ?? null) !== null
  return settle(deps, project, approvals, {
    key: `comment:${project.id}:${comment.id}`,
    source: 'comment',
    decision: said.decision,
    ...(said.decision === 'approve' && { digest: said.digest }),
    reason: said.decision === 'deny' ? said.reason : null,
    actor: { ...sender, viaApp },
  })
}

async function labelled(deps: Deps, project: Row<'projects'>, event: LabelEvent): Promise<Settlement> {
  const { label, issue, sender } = event
  const known = labelGroup(label.name, renamesIn(project.settings))
  if (known?.group !== 'approval') return { outcome: 'ignored: not an approval label' }
  if (sender.id === project.own_actor_id) return { outcome: 'ignored: our own label event' }
  const approvals = await deps.approvalsOf(project.id, issue.id)
  if (approvals.length === 0) return { outcome: 'ignored: nothing was to be approved here' }
  const forge = deps.forge(project)
  if ((await forge.repositoryId()) !== project.repository_id)
    return { outcome: 'ignored: another repository has this name now' }
  const notAfter = new Date(Date.parse(issue.updated_at) + 2_000)
  const labelEvent = await forge.labelEvent(issue.number, label.name, sender.id, notAfter)
  if (labelEvent === undefined) throw new RetryLater(`the label event on #${issue.number} is not visible yet`)
  return settle(deps, project, approvals, {
    key: `label:${project.id}:${labelEvent.id}`,
    source: 'label',
    decision: 'approve',
    label: { name: known.label, setAt: labelEvent.createdAt },
    reason: null,
    actor: { ...sender, viaApp: false },
  })
}

async function settle(
  deps: Deps,
  project: Row<'projects'>,
  approvals: readonly Approval[],
  command: Command,
): Promise<Settlement> {
  return (await judge(deps, project, approvals, command)) ?? { outcome: 'ignored: nothing was to be approved here' }
}

function parse<S extends v.GenericSchema>(schema: S, { type, data }: Delivered): v.InferOutput<S> {
  const parsed = v.safeParse(schema, data)
  if (!parsed.success) throw new PermanentError(`not a ${type} event: ${schemaProblems(parsed.issues)}`)
  return parsed.output
}
