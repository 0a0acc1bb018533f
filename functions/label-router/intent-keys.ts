import { sql } from 'kysely'
import type { Tx } from '#shared/db/transaction.ts'
import type { Intent } from './handler.ts'

/** Whether this label event has its run already: whatever repeated the delivery, there is one. */
export async function known(tx: Tx, intent: Intent): Promise<boolean> {
  const { provider, instance, repository_id, label_event_id } = columns(intent)
  const places = [intent.subject.id, ...(intent.askedOn === undefined ? [] : [intent.askedOn.id])]
  const run = await tx
    .selectFrom('runs')
    .select('id')
    .where('provider', '=', provider)
    .where('instance', '=', instance)
    .where('repository_id', '=', repository_id)
    .where('subject_id', 'in', places)
    .where('label_event_id', '=', label_event_id)
    .executeTakeFirst()
  return run !== undefined
}

/**
 * Whether the same stage was asked for again before this label event was handled: events arrive in any order, and the
 * intent that counts is the latest. A refused request takes nobody's place.
 */
export async function overtaken(tx: Tx, { project, subject, stage, labelEvent }: Intent): Promise<boolean> {
  const newer = await tx
    .selectFrom('runs')
    .select('id')
    .where('project_id', '=', project.id)
    .where('subject_id', '=', subject.id)
    .where('stage', '=', stage)
    .where('state', '!=', 'refused')
    .where((when) =>
      when.or([
        when('requested_at', '>', labelEvent.createdAt),
        // Within one second the forge's own counter decides.
        when.and([
          when('requested_at', '=', labelEvent.createdAt),
          sql<boolean>`(length(label_event_id), label_event_id) > (length(${labelEvent.id}::text), ${labelEvent.id}::text)`,
        ]),
      ]),
    )
    .limit(1)
    .executeTakeFirst()
  return newer !== undefined
}

/** What a run keeps of who asked for what, and where. */
export function columns({ project, subject, labelEvent, label, stage, requester }: Intent) {
  return {
    project_id: project.id,
    provider: project.provider,
    instance: project.instance,
    repository_id: project.repository_id,
    subject_id: subject.id,
    subject_number: subject.number,
    label_event_id: labelEvent.id,
    label,
    stage,
    requester_id: requester.id,
    requester_login: requester.login,
    requested_at: labelEvent.createdAt,
  }
}
