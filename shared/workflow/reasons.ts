/** Why a run is refused, cancelled or failed: a code for machines, a sentence and a next step for the person who asked. */
export interface Reason {
  readonly says: string
  readonly next: string
  /** Whether it is said on the subject. What the person did on purpose a moment ago needs no comment. */
  readonly silent?: true
}

/** Every reason the platform may give. The status comment says nothing that is not here. */
export const reasons = {
  // The request was refused.
  actor_not_allowed: {
    says: 'The person or bot who set the label may not start work here.',
    next: 'Ask somebody with write access to set the label.',
  },
  label_conflict: {
    says: 'More than one label asks for a run, or chooses the model or effort, at the same time.',
    next: 'Leave one label of each kind and set it again.',
  },
  not_an_issue: { says: 'This stage works on issues, not on pull requests.', next: 'Set the label on the issue.' },
  stage_not_configured: {
    says: 'This installation has no such stage.',
    next: 'Use a label of a stage that is configured: `run:dev`.',
  },
  stale_content: {
    says: 'The text was changed after the label was set, so it is not what was asked for.',
    next: 'Read it again and set the label again.',
  },
  nothing_to_revise: {
    says: 'No run has opened a pull request here that could be revised.',
    next: 'Set `run:dev` for a new change.',
  },
  not_our_pull_request: {
    says: 'No run has opened this pull request, so there is nothing to go on with.',
    next: 'Set the label on a pull request that a run has opened, or on its issue.',
  },
  pull_request_closed: {
    says: 'The pull request is closed or merged.',
    next: 'Open it again and ask again, or set `run:dev` on the issue for a new change.',
  },
  stale_head: {
    says: 'Somebody pushed to the pull request after this was asked for, so it is not what was looked at.',
    next: 'Look at the new commits and ask again: set the label, or send another review.',
  },
  stage_undecided: {
    says: 'The labels name more than one stage, or none is known, so it is not clear what has to be revised.',
    next: 'Set one of these labels: `run:dev:revise`.',
  },
  content_too_large: {
    says: 'Title, text and comments are larger than an agent is given.',
    next: 'Shorten the text and set the label again.',
  },
  base_missing: {
    says: 'The default branch has no commit to start from.',
    next: 'Push a first commit and set the label again.',
  },
  model_not_allowed: {
    says: 'The model or effort that a label chooses is not one this installation offers.',
    next: 'Remove the `ai-` label and set the run label again.',
  },
  subject_closed: { says: 'The issue is closed.', next: 'Open it and set the label again.', silent: true },
  subject_locked: { says: 'The conversation is locked.', next: 'Unlock it and set the label again.', silent: true },
  label_removed: { says: 'The label was taken off again.', next: 'Set the label again to start.', silent: true },
  subject_gone: {
    says: 'The issue was deleted or moved to another repository.',
    next: 'Set the label where it is now.',
    silent: true,
  },
  // The run was cancelled.
  superseded: {
    says: 'The same label was set again; the newer run takes its place.',
    next: 'Nothing: follow the newer run.',
  },
  cancelled_by_staff: {
    says: 'Somebody who operates this installation cancelled it.',
    next: 'Ask them why, then set the label again.',
  },
  project_removed: {
    says: 'The repository was disconnected.',
    next: 'Ask the operator to connect it again, then set the label again.',
    silent: true,
  },
  actor_revoked: {
    says: 'The person who asked lost the right to start work here before the run was done.',
    next: 'Ask somebody with write access to set the label.',
  },
  approval_denied: {
    says: 'The approval was denied.',
    next: 'Settle with the person who denied it what has to change, then set the label again.',
  },
  approval_expired: {
    says: 'Nobody approved it in time, or the approval was not used in time.',
    next: 'Set the label again and ask somebody who may approve.',
  },
  approval_missing: {
    says: 'The stage needs an approval of exactly what would run, and there is none.',
    next: 'Set the label again and ask somebody who may approve.',
  },
  // The run failed.
  job_refused: {
    says: 'The run could not be started: its place to run was refused.',
    next: 'Ask the operator to look at quotas and policies, then set the label again.',
  },
  job_name_conflict: {
    says: 'Another Job already has the name of this run.',
    next: 'Ask the operator: this should not happen.',
  },
  run_namespace_unknown: {
    says: 'The project asks for a place to run that this installation does not have.',
    next: "Ask the operator to set the project's `runNamespace` to one of the installation's, then set the label again.",
  },
  image_unusable: {
    says: 'The image that the run works in cannot be had or cannot be used.',
    next: 'Ask the operator to correct the image of the stage or its access to the registry, then set the label again.',
  },
  no_room: {
    says: 'The cluster had no room for the run, or did not let it in.',
    next: 'Ask the operator to look at nodes, quotas and policies, then set the label again.',
  },
  out_of_memory: {
    says: 'The run used more memory than it may.',
    next: 'Make the task smaller, or ask the operator for more memory for the stage; then set the label again.',
  },
  out_of_storage: {
    says: 'The run used more disk than it may.',
    next: 'Make the task smaller, or ask the operator for more storage for the stage; then set the label again.',
  },
  agent_lost: {
    says: 'The place where the agent worked disappeared, more than once.',
    next: 'Set the label again; if it happens again, ask the operator.',
  },
  agent_failed: { says: 'The agent ended with an error.', next: 'Look at the details, then set the label again.' },
  agent_gave_no_result: {
    says: 'The agent ended without a result in the expected form.',
    next: 'Make the task clearer and set the label again.',
  },
  agent_silent: {
    says: 'The agent gave no sign of life for longer than its stage allows, so it was stopped.',
    next: 'Set the label again; if it happens again, make the task smaller or raise the limit of the stage.',
  },
  budget_exhausted: {
    says: 'The run used up its tokens.',
    next: 'Make the task smaller, or raise the budget of the stage.',
  },
  clone_failed: {
    says: 'The repository could not be read.',
    next: 'Check that the App may still read it, then set the label again.',
  },
  deadline_exceeded: {
    says: 'The run took longer than its stage allows.',
    next: 'Make the task smaller, or raise the limit of the stage.',
  },
  input_invalid: {
    says: 'What the agent was given did not match its digest.',
    next: 'Ask the operator: this should not happen.',
  },
  model_refused: { says: 'The model refused the request.', next: 'Look at the details, then set the label again.' },
  model_unavailable: { says: 'The model did not answer.', next: 'Set the label again later.' },
  result_too_large: {
    says: 'The change is larger than a run may hand in.',
    next: 'Make the task smaller and set the label again.',
  },
  sandbox_unavailable: {
    says: 'The agent could not be locked in where it ran.',
    next: 'Ask the operator to allow user namespaces there.',
  },
  stopped: { says: 'The run was stopped.', next: 'Set the label again to start a new one.' },
  nothing_to_publish: { says: 'The agent changed nothing.', next: 'Make the task clearer and set the label again.' },
  change_refused: {
    says: 'The change touches what this stage may not touch.',
    next: 'See the list below; do these parts by hand or change the stage.',
  },
  secret_found: {
    says: 'The change looks as if it contained a secret, so nothing of it was published.',
    next: 'See where below, and set the label again.',
  },
  branch_moved: {
    says: 'Somebody pushed to the branch of this change meanwhile.',
    next: 'Merge or delete the branch, then set the label again.',
  },
  repository_gone: {
    says: 'The repository cannot be reached any more, or another one has its name.',
    next: 'Connect it again.',
  },
} as const satisfies Record<string, Reason>

/** The code of a reason. */
export type ReasonCode = keyof typeof reasons

/** The reason of a code as it is stored. */
export function reasonOf(code: string): Reason {
  return Object.hasOwn(reasons, code)
    ? reasons[code as ReasonCode]
    : { says: `Unknown reason: ${code}.`, next: 'Ask the operator.' }
}
