import { readApprovalCommand } from '#shared/workflow/approval-command.ts'
import { labelGroup } from '#shared/workflow/labels.ts'
import type { Extensions, Project } from './decide.ts'
import { at, idAt, textAt, type JsonObject } from './json.ts'

/**
 * What triggers filter on, and what keeps order. All of it is ASCII: brokers differ in what else a header may hold. A
 * label is named by its default name and only when it means something to us.
 */
export function extensionsOf(body: JsonObject, project: Project | undefined): Extensions {
  const repository = idAt(body, 'repository.id')
  const number = idAt(body, 'issue.number') ?? idAt(body, 'pull_request.number')
  const action = textAt(body, 'action')
  const isAction = action !== undefined && /^[a-z_]{1,60}$/.test(action)
  const name = action === 'labeled' || action === 'unlabeled' ? textAt(body, 'label.name') : undefined
  const verdict = textAt(body, 'review.state')
  const known = name === undefined ? undefined : labelGroup(name, renames(project?.settings))
  return {
    provider: 'github',
    project: project?.id,
    repository,
    action: isAction ? action : undefined,
    labelgroup: known?.group,
    label: known?.label,
    command: action === 'created' ? commandIn(body) : undefined,
    reviewstate: verdict !== undefined && /^[a-z_]{1,60}$/.test(verdict) ? verdict : undefined,
    partitionkey: repository !== undefined && number !== undefined ? `${repository}#${number}` : undefined,
  }
}

/** What a comment on an issue commands, if a person wrote it and nobody has changed it. The gate asks the forge again. */
function commandIn(body: JsonObject): string | undefined {
  const [author, sender] = [idAt(body, 'comment.user.id'), idAt(body, 'sender.id')]
  const [written, shown] = [textAt(body, 'comment.created_at'), textAt(body, 'comment.updated_at')]
  const asWritten = author !== undefined && author === sender && written !== undefined && written === shown
  if (at(body, 'issue') === undefined || !asWritten || textAt(body, 'sender.type') !== 'User') return undefined
  return readApprovalCommand(textAt(body, 'comment.body') ?? '')?.decision
}

/** A project's own names for our labels; settings are JSON that an administrator wrote. */
function renames(settings: unknown): Record<string, string> {
  const labels = (settings as { labels?: unknown } | undefined)?.labels ?? {}
  return Object.fromEntries(
    Object.entries(labels).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  )
}
