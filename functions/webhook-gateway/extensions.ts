import { labelGroup } from '#shared/workflow/labels.ts'
import type { Extensions, Project } from './decide.ts'
import { idAt, textAt, type JsonObject } from './json.ts'

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
  const known = name === undefined ? undefined : labelGroup(name, renames(project?.settings))
  return {
    provider: 'github',
    project: project?.id,
    repository,
    action: isAction ? action : undefined,
    labelgroup: known?.group,
    label: known?.label,
    partitionkey: repository !== undefined && number !== undefined ? `${repository}#${number}` : undefined,
  }
}

/** A project's own names for our labels; settings are JSON that an administrator wrote. */
function renames(settings: unknown): Record<string, string> {
  const labels = (settings as { labels?: unknown } | undefined)?.labels ?? {}
  return Object.fromEntries(
    Object.entries(labels).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  )
}
