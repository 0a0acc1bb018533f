import type { Settlement } from '#shared/outbox/deliver.ts'
import { askPolicy, mayAsk } from '#shared/workflow/may-ask.ts'
import { contentOf, currentOf, editOf, repositoryOf } from './content.ts'
import { contentBytes, decide } from './decide.ts'
import type { Asked, Deps, Forge, Intent, Project } from './handler.ts'
import { bundle } from './manifest.ts'
import { REVISE } from './revise.ts'
import { reviseByLabel } from './revise-requests.ts'

/** From a label event to a run or a refusal, whichever way we came to know of it. */
export async function judge(deps: Deps, project: Project, forge: Forge, asked: Asked): Promise<Settlement> {
  const { known, labelEvent, sender } = asked
  if (known.label.endsWith(REVISE)) return reviseByLabel(deps, project, forge, asked)
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
  const content = contentOf(text, comments)
  const stageId = known.label.slice('run:'.length)
  const stage = deps.workflow.stages.find(({ id }) => id === stageId)
  const decision = decide({
    label: known.label,
    takenOff: labelEvent.takenOff === true,
    isPullRequest,
    stageConfigured: stage !== undefined,
    mayAsk: mayAsk({ id: sender.id, type: sender.type, now }, askPolicy(project.settings)),
    asked: text,
    current,
    comments: comments.map(editOf),
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
  const place = { repository: repositoryOf(project), subject: intent.subject, base }
  const input = bundle(deps.workflow, stage, place, content, { ...decision, model: decision.model ?? deps.model })
  return { outcome: `run of ${stageId}`, write: (writer) => deps.createRun(writer, intent, input) }
}
