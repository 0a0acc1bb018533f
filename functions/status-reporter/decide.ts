import type { Row } from '#shared/db/schema.ts'
import type { Revise } from '#shared/job/bundle.ts'

/** What was asked of those who may approve, and what they decided, the newest last. */
export interface Gate {
  readonly approval: Row<'approvals'>
  readonly decisions: readonly Row<'decisions'>[]
}

/** The digest that people are asked to approve. */
export function pendingDigest(gate: Gate | undefined): string | undefined {
  return gate?.approval.state === 'pending' ? gate.approval.bundle_digest : undefined
}

/** Approval labels that somebody set: they have been judged and go, whatever came of it. */
export function usedLabels(gate: Gate | undefined): readonly string[] {
  return [...new Set(gate?.decisions.flatMap(({ label }) => label ?? []))]
}

/** What the labels of the subject have to become once a run is over. */
export interface LabelChange {
  readonly remove: readonly string[]
  readonly add: readonly string[]
}

const over: readonly Row<'runs'>['state'][] = ['refused', 'succeeded', 'failed', 'cancelled']

/** Whether nothing more will happen to the run. */
export function isOver(run: Row<'runs'>): boolean {
  return over.includes(run.state)
}

/** The run label goes when its run is over, unless a newer run was asked for with it. A published change is in review. */
export function labelChange(run: Row<'runs'>, label: string, inReview: string, newerActive: boolean): LabelChange {
  return {
    remove: isOver(run) && !newerActive && run.reason !== 'label_removed' ? [label] : [],
    add: run.state === 'succeeded' ? [inReview] : [],
  }
}

/**
 * Changes of labels besides: a run that goes on with a change was asked for where its label stands, on the issue or on the
 * pull request; and who cannot be understood is asked.
 */
export function elsewhere(
  run: Row<'runs'>,
  revise: Revise | undefined,
  newerActive: boolean,
): readonly (LabelChange & { readonly on: number })[] {
  const on = revise?.asked.on ?? run.subject_number
  if (run.reason === 'stage_undecided') return [{ on, remove: [], add: ['need:input'] }]
  if (revise === undefined || !isOver(run)) return []
  const { remove } = labelChange(run, run.label, '', newerActive)
  return [{ on, remove: [...(on === run.subject_number ? [] : remove), 'need:input'], add: [] }]
}
