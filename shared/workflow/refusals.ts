import type { Reason } from '#shared/workflow/reasons.ts'

/** Why a decision about an approval does not count. */
const refusals = {
  self_approval: {
    says: 'may not decide about what they asked for or wrote themselves',
    next: 'Ask somebody else who may approve.',
  },
  bot: { says: 'is no person', next: 'A person has to decide.' },
  not_eligible: {
    says: 'may not decide about this stage',
    next: 'Ask somebody with the access that the stage asks for.',
  },
  wrong_digest: {
    says: 'named a digest that nothing waits under',
    next: 'Copy the command from the comment of the run that waits.',
  },
  ambiguous: {
    says: 'did not say which of the waiting runs is meant',
    next: 'Decide by the API, or take off the label of the run that is not wanted.',
  },
  label_not_mapped: {
    says: 'set a label that approves nothing here',
    next: 'Approve by the command in the comment of the run.',
  },
  not_shown: {
    says: 'set the label before the comment showed what is to be approved',
    next: 'Read the comment, then set the label again.',
  },
  already_counted: { says: 'has approved already', next: 'Wait for the others.', silent: true },
  decided: { says: 'came after the decision', next: 'Look at what was decided.', silent: true },
  expired: { says: 'came too late', next: 'Set the run label again.' },
  stale: { says: 'meant what was changed since', next: 'Look at it again and ask for the run again.' },
} as const satisfies Record<string, Reason>

/** The code of a refused decision. */
export type RefusalCode = keyof typeof refusals

/** The refusal of a code as it is stored. */
export function refusalOf(code: string): Reason {
  return Object.hasOwn(refusals, code)
    ? refusals[code as RefusalCode]
    : { says: `was refused: ${code}`, next: 'Ask the operator.' }
}
