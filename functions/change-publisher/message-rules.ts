import type * as v from 'valibot'
import type { ChangeMessage } from '#shared/job/result.ts'
import type { Problem } from './finding.ts'

/** What the pull request says, in the agent's words. */
export type Message = Readonly<v.InferOutput<typeof ChangeMessage>>

const branchShape = /^agent\/[0-9]+-[a-z0-9]{6,100}$/
/** Turns the text around or hides it. Joiners and marks that real scripts and emoji need are not among them. */
const deceptive = /[\u202a-\u202e\u2066-\u2069\u{e0000}-\u{e007f}]/u
const control = /[\p{Cc}\p{Zl}\p{Zp}]/u
const controlButLayout = /[^\P{Cc}\n\r\t]/u

/** `agent/<issue>-<change>` and nothing else, so never the default branch and never an option of git. */
export function branchProblem(branch: string): Problem | undefined {
  if (branchShape.test(branch)) return undefined
  return { code: 'branch_invalid', detail: 'the branch is not agent/<issue>-<change>' }
}

/** Title: one line. Summary and tests: lines. None hides or reorders text, none is invalid Unicode. */
export function messageProblem({ title, summary, tests }: Message): Problem | undefined {
  const because = (detail: string): Problem => ({ code: 'message_invalid', detail })
  if (title.trim() === '' || control.test(title)) return because('the title is empty or not one line')
  const texts = [title, summary, tests]
  if (texts.some((text) => !text.isWellFormed())) return because('the message is not valid Unicode')
  if (texts.some((text) => controlButLayout.test(text))) return because('the message contains control characters')
  if (texts.some((text) => deceptive.test(text)))
    return because('the message contains characters that hide or reorder text')
  return undefined
}
