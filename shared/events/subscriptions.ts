/** One filter of a trigger: the event's type and, when given, exact values of extensions. */
export interface Subscription {
  /** CloudEvents type, or `*` for every event: a trigger without a filter. */
  readonly type: string
  readonly where?: Readonly<Record<string, string>>
}

const event = (noun: string, verb: string) => `dev.codex-k8s.${noun}.${verb}.v1`

/**
 * Who consumes what. An event's outbox row is written together with one `deliveries` row for each consumer named here;
 * the triggers in `eventing/triggers.yaml` say the same to the broker and a test holds them against this table.
 * Exact values only: that is what every broker class can filter on.
 */
export const subscriptions = {
  'label-router': [
    { type: 'com.github.issues.labeled', where: { labelgroup: 'run' } },
    { type: 'com.github.issues.unlabeled', where: { labelgroup: 'run' } },
    { type: 'com.github.issues.closed' },
    { type: 'com.github.issues.deleted' },
    { type: 'com.github.issues.transferred' },
    { type: 'com.github.issues.locked' },
    { type: 'com.github.pull_request.labeled', where: { labelgroup: 'run' } },
    { type: 'com.github.pull_request.unlabeled', where: { labelgroup: 'run' } },
    { type: 'com.github.pull_request_review.submitted', where: { reviewstate: 'changes_requested' } },
    { type: event('label', 'found') },
    { type: event('stage', 'due') },
  ],
  'approval-gate': [
    { type: event('stage', 'requested') },
    { type: 'com.github.issue_comment.created', where: { command: 'approve' } },
    { type: 'com.github.issue_comment.created', where: { command: 'deny' } },
    { type: 'com.github.issues.labeled', where: { labelgroup: 'approval' } },
  ],
  'stage-dispatcher': [
    { type: event('stage', 'approved') },
    { type: event('run', 'cancelled') },
    { type: event('run', 'finished') },
    { type: event('run', 'failed') },
    { type: event('run', 'lost') },
  ],
  'change-publisher': [{ type: event('run', 'finished') }],
  'status-reporter': [
    { type: event('request', 'refused') },
    { type: event('stage', 'approved') },
    { type: event('approval', 'requested') },
    { type: event('decision', 'recorded') },
    { type: event('run', 'queued') },
    { type: event('run', 'started') },
    { type: event('run', 'progressed') },
    { type: event('run', 'finished') },
    { type: event('run', 'failed') },
    { type: event('run', 'lost') },
    { type: event('run', 'cancelled') },
    { type: event('change', 'published') },
    { type: event('change', 'rejected') },
  ],
  'audit-sink': [{ type: '*' }],
} as const satisfies Record<string, readonly Subscription[]>

/** A function that is woken by events. */
export type Consumer = keyof typeof subscriptions

/** The consumers of an event, by the rule a broker applies to the triggers: type and extensions equal, all of them. */
export function consumersOf(type: string, extensions: Readonly<Record<string, string>>): Consumer[] {
  const matches = (subscription: Subscription) =>
    subscription.type === '*' ||
    (subscription.type === type &&
      Object.entries(subscription.where ?? {}).every(([name, value]) => extensions[name] === value))
  return (Object.keys(subscriptions) as Consumer[]).filter((consumer) => subscriptions[consumer].some(matches))
}
