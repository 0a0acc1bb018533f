import * as v from 'valibot'

/** The platform's own events. A breaking change is a new version, never an edit. Subject: the run, `runs/<uuid>`, or what it is about. */
export const EVENT_TYPES = {
  requestRefused: 'dev.codex-k8s.request.refused.v1',
  /** Something was taken away before there was a run of it. Subject: `subjects/<project>/<id>`. */
  requestWithdrawn: 'dev.codex-k8s.request.withdrawn.v1',
  /** A run label that no delivery told of; subject: the issue, `repositories/<id>/issues/<number>`. */
  labelFound: 'dev.codex-k8s.label.found.v1',
  stageRequested: 'dev.codex-k8s.stage.requested.v1',
  stageApproved: 'dev.codex-k8s.stage.approved.v1',
  /** A run that waited has its turn; the router judges its requester again. */
  stageDue: 'dev.codex-k8s.stage.due.v1',
  approvalRequested: 'dev.codex-k8s.approval.requested.v1',
  /** A decision that settles nothing yet, or does not count. */
  decisionRecorded: 'dev.codex-k8s.decision.recorded.v1',
  stageDenied: 'dev.codex-k8s.stage.denied.v1',
  approvalExpired: 'dev.codex-k8s.approval.expired.v1',
  /** The run starts under it; it opens nothing more. */
  approvalConsumed: 'dev.codex-k8s.approval.consumed.v1',
  /** The intent to start its Job is committed. */
  runStarting: 'dev.codex-k8s.run.starting.v1',
  runQueued: 'dev.codex-k8s.run.queued.v1',
  runStarted: 'dev.codex-k8s.run.started.v1',
  runProgressed: 'dev.codex-k8s.run.progressed.v1',
  runFinished: 'dev.codex-k8s.run.finished.v1',
  runFailed: 'dev.codex-k8s.run.failed.v1',
  runLost: 'dev.codex-k8s.run.lost.v1',
  runCancelled: 'dev.codex-k8s.run.cancelled.v1',
  changePublished: 'dev.codex-k8s.change.published.v1',
  changeRejected: 'dev.codex-k8s.change.rejected.v1',
  usageReserved: 'dev.codex-k8s.usage.reserved.v1',
  usageRecorded: 'dev.codex-k8s.usage.recorded.v1',
  // What only the ledger hears of: the rows that no other event has.
  /** A line of the agent's that nobody else is told of, because another was just before. */
  progressRecorded: 'dev.codex-k8s.progress.recorded.v1',
  /** An effect outside is about to be tried. */
  intentRecorded: 'dev.codex-k8s.intent.recorded.v1',
  /** What became of it. */
  intentSettled: 'dev.codex-k8s.intent.settled.v1',
  /** A repository is taken in; its hook is not there yet. */
  projectAdded: 'dev.codex-k8s.project.added.v1',
  projectConnected: 'dev.codex-k8s.project.connected.v1',
  projectDisconnected: 'dev.codex-k8s.project.disconnected.v1',
  /** A hook of no project: the one of self-tests. */
  hookAdded: 'dev.codex-k8s.hook.added.v1',
  /** An authentic webhook that cannot be used was set aside. */
  webhookQuarantined: 'dev.codex-k8s.webhook.quarantined.v1',
  /** An event was set aside for one consumer. */
  deliveryQuarantined: 'dev.codex-k8s.delivery.quarantined.v1',
  /** Somebody put it back. */
  deliveryRedriven: 'dev.codex-k8s.delivery.redriven.v1',
  /** A person or a group of the cluster has a role in the staff API from here on, or has it no more. */
  accessGranted: 'dev.codex-k8s.access.granted.v1',
  accessRevoked: 'dev.codex-k8s.access.revoked.v1',
  /** Somebody of the staff did something: who, what and to what. Beside the event about the change itself. */
  staffActed: 'dev.codex-k8s.staff.acted.v1',
} as const

/** The type of one of our own events. */
export type PlatformType = (typeof EVENT_TYPES)[keyof typeof EVENT_TYPES]

/** Data of every event of a run: identifiers only. Whoever needs more reads the row, as it is by then. */
export const RunEvent = v.strictObject({
  run: v.pipe(v.string(), v.uuid()),
  project: v.pipe(v.string(), v.uuid()),
  stage: v.string(),
  /** The attempt it speaks of; absent before the first one. */
  attempt: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1))),
  /** A code of `workflow/reasons.ts`. */
  reason: v.optional(v.string()),
})
export type RunEvent = v.InferOutput<typeof RunEvent>
