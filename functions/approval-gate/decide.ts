import type { ApprovalPolicy } from '#shared/job/bundle.ts'
import type { ReasonCode } from '#shared/workflow/reasons.ts'
import type { RefusalCode } from '#shared/workflow/refusals.ts'
import { isEligible, type Person } from './eligible.ts'

/** An approval that somebody was asked for, as far as finding the right one goes. */
export interface Asked {
  /** Digest of the bundle that would run. */
  readonly digest: string
  readonly state: 'pending' | 'approved' | 'denied' | 'expired' | 'stale' | 'withdrawn'
  readonly policy: ApprovalPolicy
}

/** What a command names: a digest or its beginning, a label, or nothing but the subject it was said on. */
export interface Named {
  readonly digest: string | undefined
  readonly label: string | undefined
}

/** Finds the approval that a command is about, newest first, or the one that its refusal is told at. Undefined: nobody was asked. */
export function choose<A extends Asked>(
  named: Named,
  approvals: readonly A[],
): { readonly about: A; readonly refusal?: RefusalCode } | undefined {
  const { digest, label } = named
  const meant = approvals.filter(
    (one) =>
      (digest === undefined || one.digest.startsWith(digest)) && (label === undefined || one.policy.label === label),
  )
  const pending = meant.filter(({ state }) => state === 'pending')
  const [first, second] = pending
  if (first !== undefined) return second === undefined ? { about: first } : { about: first, refusal: 'ambiguous' }
  const waiting = approvals.find(({ state }) => state === 'pending')
  const about = digest === undefined ? (waiting ?? meant[0]) : (meant[0] ?? waiting ?? approvals[0])
  if (about === undefined) return undefined
  if (meant.includes(about)) return { about, refusal: late(about.state) }
  return { about, refusal: label === undefined ? 'wrong_digest' : 'label_not_mapped' }
}

function late(state: Asked['state']): RefusalCode {
  return state === 'expired' || state === 'stale' ? state : 'decided'
}

/** Everything that the decision about a command rests on. */
export interface Question {
  readonly decision: 'approve' | 'deny'
  readonly policy: ApprovalPolicy
  readonly requesterId: string
  /** Who opened the subject. */
  readonly authorId: string | undefined
  readonly ownActorId: string
  readonly actor: Person & {
    readonly type: string
    /** Whether a program said it in the person's name. */
    readonly viaApp: boolean
  }
  /** Whose approval counted so far. */
  readonly earlier: readonly Person[]
  /** Whether the service comment showed the digest before. Only a label, which names none, depends on it. */
  readonly shown: boolean
  /** Why what would run is not what people see any more. */
  readonly outdated: ReasonCode | undefined
}

/** What becomes of a command. `approvals` are those that count, with this one. */
export type Verdict =
  | { readonly kind: 'refused'; readonly refusal: RefusalCode }
  | { readonly kind: 'outdated'; readonly reason: ReasonCode }
  | { readonly kind: 'denied' }
  | { readonly kind: 'approved' | 'pending'; readonly approvals: number }

/** Who may decide, and whether that is enough. */
export function decide(question: Question): Verdict {
  const { decision, policy, actor, earlier } = question
  const refused = (refusal: RefusalCode): Verdict => ({ kind: 'refused', refusal })
  if (actor.type !== 'User' || actor.viaApp || actor.id === question.ownActorId) return refused('bot')
  if (policy.excludeRequester && actor.id === question.requesterId) return refused('self_approval')
  if (policy.excludeAuthor !== false && actor.id === question.authorId) return refused('self_approval')
  if (!isEligible(actor, policy)) return refused('not_eligible')
  if (decision === 'deny') return { kind: 'denied' }
  if (!question.shown) return refused('not_shown')
  if (question.outdated !== undefined) return { kind: 'outdated', reason: question.outdated }
  if (earlier.some(({ id }) => id === actor.id)) return refused('already_counted')
  // Who approved before and may not any more does not count now.
  const approvals = earlier.filter((one) => isEligible(one, policy)).length + 1
  return { kind: approvals >= policy.quorum ? 'approved' : 'pending', approvals }
}

/** The subject as the forge shows it now. */
export interface Current {
  readonly open: boolean
  readonly locked: boolean
  readonly title: string
  readonly body: string
}

/** What a bundle says that people may have changed since: the text, and the head of a change that the run goes on with. */
export interface Bundled {
  readonly title: string
  readonly body: string
  readonly revise: { readonly pull: number; readonly head: string } | undefined
}

/** Why what a bundle says is not so any more. */
export function outdated(bundled: Bundled, now: Current | undefined, head: string | undefined): ReasonCode | undefined {
  if (now === undefined) return 'subject_gone'
  if (!now.open) return 'subject_closed'
  if (now.locked) return 'subject_locked'
  const same = now.title.toWellFormed() === bundled.title && now.body.toWellFormed() === bundled.body
  if (!same) return 'stale_content'
  return bundled.revise !== undefined && bundled.revise.head !== head ? 'stale_head' : undefined
}
