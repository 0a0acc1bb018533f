import { age } from './age.ts'
import type { Answer } from './staff-api.ts'
import { fields, table } from './table.ts'

type Details = Answer<'getRun'>

/** A run in words: what it is, its approval, its attempts, its events. */
export function describeRun({ run, digest, tokens, attempts, approval, events }: Details, now: number): string {
  const parts = [
    fields([
      ['Run', run.id],
      ['Repository', run.repository],
      ['Issue', run.number],
      ['Stage', run.stage],
      ['Label', run.label],
      ['Requester', `${run.requester.login} (${run.requester.id})`],
      ['State', run.state],
      ['Reason', run.reason && `${run.reason.code}: ${run.reason.says}`],
      ['Next', run.reason?.next],
      ['Detail', run.detail],
      ['Age', age(run.createdAt, now)],
      ['Branch', run.change?.branch],
      ['Pull request', run.change?.pull && (run.change.pull.url ?? run.change.pull.number)],
      ['Tokens', tokens.budget === null ? tokens.charged : `${tokens.charged} of ${tokens.budget}`],
      ['Input', digest],
      ['Retry of', run.retryOf],
    ]),
  ]
  if (approval !== null) parts.push(approvalOf(approval, now))
  if (attempts.length > 0)
    parts.push(
      table(attempts, [
        { header: 'attempt', value: ({ attempt }) => attempt },
        { header: 'state', value: ({ state }) => state },
        { header: 'reason', value: ({ reason }) => reason },
        { header: 'job', value: ({ job }) => job },
        { header: 'last seen', value: ({ lastSeenAt }) => lastSeenAt && age(lastSeenAt, now) },
        { header: 'age', value: ({ createdAt }) => age(createdAt, now) },
      ]),
    )
  if (events.length > 0)
    parts.push(
      table(events, [
        { header: 'age', value: ({ createdAt }) => age(createdAt, now) },
        { header: 'event', value: ({ type }) => type },
        { header: 'from', value: ({ producer }) => producer },
        { header: 'done', value: ({ deliveries }) => deliveries.done },
        { header: 'pending', value: ({ deliveries }) => deliveries.pending },
        { header: 'quarantined', value: ({ deliveries }) => deliveries.quarantined },
      ]),
    )
  return parts.join('\n')
}

function approvalOf(
  { state, quorum, digest, expiresAt, decisions }: NonNullable<Details['approval']>,
  now: number,
): string {
  const lines = [
    fields([
      ['Approval', state],
      ['Needs', quorum],
      ['Of', digest],
      ['Expires', expiresAt],
    ]),
  ]
  if (decisions.length > 0)
    lines.push(
      table(decisions, [
        { header: 'decision', value: ({ decision }) => decision },
        { header: 'by', value: ({ actor }) => `${actor.login} (${actor.id})` },
        { header: 'through', value: ({ source }) => source },
        { header: 'counts', value: ({ refusal }) => (refusal === null ? 'yes' : `no: ${refusal}`) },
        { header: 'age', value: ({ decidedAt }) => age(decidedAt, now) },
        { header: 'reason', value: ({ reason }) => reason },
      ]),
    )
  return lines.join('\n')
}
