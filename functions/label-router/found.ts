import * as v from 'valibot'
import { PermanentError } from '#shared/errors.ts'
import type { Delivered } from '#shared/events/delivered.ts'
import type { Settlement } from '#shared/outbox/deliver.ts'
import { labelGroup, renamesIn } from '#shared/workflow/labels.ts'
import type { Deps } from './handler.ts'
import { judge } from './judge.ts'

/** A label event that no webhook brought, as the forge's own list tells it: identifiers, none of the text. */
export const LabelFound = v.strictObject({
  project: v.pipe(v.string(), v.uuid()),
  subject: v.strictObject({
    id: v.string(),
    number: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
    kind: v.picklist(['issue', 'pull_request']),
  }),
  /** As it is spelled on the forge. */
  label: v.string(),
  labelEvent: v.strictObject({ id: v.string(), createdAt: v.pipe(v.string(), v.isoTimestamp()) }),
  actor: v.strictObject({ id: v.string(), login: v.string(), type: v.string() }),
})
export type LabelFound = v.InferOutput<typeof LabelFound>

/**
 * The same rules as for a webhook's label event. Only the signed text is missing: the text of now stands for it where the
 * forge can say that nobody changed it since.
 */
export async function found(deps: Deps, event: Delivered): Promise<Settlement> {
  const { project: projectId, subject, label, labelEvent, actor } = v.parse(LabelFound, event.data)
  const project = await deps.project(projectId)
  if (project === undefined) throw new PermanentError(`there is no project ${projectId}`)
  if (project.state !== 'connected') return { outcome: 'ignored: the repository is not connected' }
  if (actor.id === project.own_actor_id) return { outcome: 'ignored: our own label event' }
  const known = labelGroup(label, renamesIn(project.settings))
  if (known?.group !== 'run') return { outcome: 'ignored: not a run label' }
  const forge = deps.forge(project)
  if ((await forge.repositoryId()) !== project.repository_id)
    return { outcome: 'ignored: another repository has this name now' }
  const createdAt = new Date(labelEvent.createdAt)
  return judge(deps, project, forge, {
    known,
    subject,
    labelEvent: { id: labelEvent.id, createdAt },
    sender: actor,
    // Asked after the text was read: an edit in between makes it stale.
    text: async ({ title, body }) => ((await forge.edited(subject.number, createdAt)) ? undefined : { title, body }),
  })
}
