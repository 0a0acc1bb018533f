import type { TaskContent } from '#shared/job/bundle.ts'
import type { Settlement } from '#shared/outbox/deliver.ts'
import { labelGroup, renamesIn, type KnownLabel } from '#shared/workflow/labels.ts'
import { askPolicy, mayAsk } from '#shared/workflow/may-ask.ts'
import { contentBytes, decide, type Current } from './decide.ts'
import type { Deps, Forge, Intent, Project } from './handler.ts'
import { bundle } from './manifest.ts'

/** A label event of the group `run` that the forge has confirmed. */
export interface Asked {
  readonly known: KnownLabel
  readonly subject: Intent['subject']
  readonly labelEvent: Intent['labelEvent']
  readonly sender: { readonly id: string; readonly login: string; readonly type: string }
  /** Title and body as they were when the label was set; undefined when nobody can say any more. */
  text(current: Current): Promise<{ readonly title: string; readonly body: string } | undefined>
}

/** From a label event to a run or a refusal, whichever way we came to know of it. */
export async function judge(deps: Deps, project: Project, forge: Forge, asked: Asked): Promise<Settlement> {
  const { known, labelEvent, sender } = asked
  const isPullRequest = asked.subject.kind === 'pull_request'
  const version = await deps.subjectVersion(project.id, asked.subject.id)
  const [now, shown, allComments, base] = await Promise.all([
    forge.permission(sender.login),
    forge.subject(asked.subject.number),
    forge.comments(asked.subject.number, labelEvent.createdAt),
    forge.base(),
  ])
  const current = currentOf(project, asked.subject.id, shown)
  const text = current && (await asked.text(current))
  const comments = allComments.filter(({ authorId }) => authorId !== project.own_actor_id)
  // Half a surrogate pair has no canonical form, and no bytes that an agent could read.
  const content: TaskContent = {
    title: (text?.title ?? '').toWellFormed(),
    body: (text?.body ?? '').toWellFormed(),
    comments: comments.map(({ author, createdAt, body }) => ({ author, createdAt, body: body.toWellFormed() })),
  }
  const stageId = known.label.slice('run:'.length)
  const stage = deps.workflow.stages.find(({ id }) => id === stageId)
  const decision = decide({
    label: known.label,
    isPullRequest,
    stageConfigured: stage !== undefined,
    mayAsk: mayAsk({ id: sender.id, type: sender.type, now }, askPolicy(project.settings)),
    asked: text,
    current,
    comments: comments.map(({ createdAt, updatedAt }) => ({
      updatedAt: new Date(updatedAt),
      edited: updatedAt !== createdAt,
    })),
    labelledAt: labelEvent.createdAt,
    contentBytes: contentBytes(content),
    baseCommit: base?.commit,
    models: deps.models,
  })

  const intent: Intent = {
    project,
    subject: asked.subject,
    version,
    labelEvent,
    label: known.label,
    stage: stageId,
    requester: { id: sender.id, login: sender.login },
  }
  if (decision.kind === 'refuse' || stage === undefined || base === undefined) {
    const { reason, detail } =
      decision.kind === 'refuse' ? decision : { reason: 'stage_not_configured' as const, detail: undefined }
    return { outcome: `refused: ${reason}`, write: (writer) => deps.refuseRun(writer, intent, reason, detail) }
  }
  const place = {
    repository: {
      provider: project.provider,
      instance: project.instance,
      id: project.repository_id,
      fullName: project.full_name,
    },
    subject: intent.subject,
    base,
  }
  const input = bundle(deps.workflow, stage, place, content, { ...decision, model: decision.model ?? deps.model })
  return { outcome: `run of ${stageId}`, write: (writer) => deps.createRun(writer, intent, input) }
}

/** What the forge shows, if it is the subject that was meant: a number says less than an id once a repository was replaced. */
export function currentOf(
  project: Project,
  subjectId: string,
  shown: (Current & { id: string }) | undefined,
): Current | undefined {
  if (shown === undefined || shown.id !== subjectId) return undefined
  const labels = shown.labels.flatMap((name) => labelGroup(name, renamesIn(project.settings))?.label ?? [])
  return { ...shown, labels }
}
