import { digestOf } from '#shared/digest.ts'
import type { Row } from '#shared/db/schema.ts'
import type { Writer } from '#shared/outbox/deliver.ts'
import type { RefusalCode } from '#shared/workflow/refusals.ts'
import { choose, decide, outdated, type Asked, type Bundled, type Current, type Verdict } from './decide.ts'

/** An approval with its run, as it was read. */
export interface Approval extends Asked {
  readonly id: string
  readonly version: number
  readonly run: Row<'runs'>
  /** Its time is over, by the database's clock, and nobody has written that down yet. */
  readonly overdue: boolean
  /** Since when the service comment shows this digest, by the forge's clock; undefined while it does not. */
  readonly shownAt: Date | undefined
}

/** One decision of one person, whichever way it came. */
export interface Command {
  /** The same one again is the same decision, for ever. */
  readonly key: string
  readonly source: Row<'decisions'>['source']
  readonly decision: 'approve' | 'deny'
  /** Digest of what is decided about, or its first 12 digits or more. */
  readonly digest?: string
  /** Default name of the label that was set, and when, by the forge's clock. */
  readonly label?: { readonly name: string; readonly setAt: Date }
  readonly reason: string | null
  readonly actor: { readonly id: string; readonly login: string; readonly type: string; readonly viaApp: boolean }
}

/** What becomes of a command, or became of it when it came first. */
export interface Answer {
  readonly run: string
  readonly decision: 'approve' | 'deny'
  /** Null: it counts. */
  readonly refusal: RefusalCode | null
  readonly state: Asked['state']
  /** Approvals that count so far, and how many are needed. */
  readonly approvals: number
  readonly quorum: number
}

/** What the forge says, for one repository. Every look-up that fails is a RetryLater, never a yes. */
export interface Forge {
  repositoryId(): Promise<string | undefined>
  permission(login: string): Promise<{ readonly actorId: string; readonly permission: string }>
  subject(number: number): Promise<(Current & { readonly id: string; readonly authorId: string }) | undefined>
  /** Head of an open pull request. */
  head(pull: number): Promise<string | undefined>
  comment(id: string): Promise<
    | {
        readonly authorId: string
        readonly body: string
        readonly edited: boolean
        readonly viaApp: boolean
      }
    | undefined
  >
  labelEvent(
    number: number,
    label: string,
    actorId: string,
    notAfter: Date,
  ): Promise<{ readonly id: string; readonly createdAt: Date } | undefined>
}

/** What judging a command needs from the world. */
export interface JudgeDeps {
  forge(project: Row<'projects'>): Forge
  /** The decision with this key, with its approval. */
  decided(key: string): Promise<(Answer & { readonly command: string }) | undefined>
  /** What a bundle says that people may have changed since. */
  bundled(digest: string): Promise<Bundled>
  /** Whose approval counted so far. */
  approvers(approvalId: string): Promise<readonly { readonly id: string; readonly login: string }[]>
  /** Whether so many decisions about this were refused, of this person or of all, that no more are kept. */
  isFull(approvalId: string, actorId: string): Promise<boolean>
  /** Writes what was decided, if the approval is still as it was seen; RetryLater of 0 seconds if not. */
  record(
    writer: Writer,
    approval: Approval,
    command: Command & { readonly digestOf: string },
    verdict: Verdict | 'overdue',
  ): Promise<void>
}

/** What is to be written and answered. Without `write` nothing changes. */
export interface Judgement {
  readonly outcome: string
  readonly answer: Answer | 'key_reused'
  readonly write?: (writer: Writer) => Promise<void>
}

/** Judges a command about one of these approvals, newest first; undefined when it is about none. */
export async function judge(
  deps: JudgeDeps,
  project: Row<'projects'>,
  approvals: readonly Approval[],
  command: Command,
): Promise<Judgement | undefined> {
  const { key, decision, digest, label, reason, actor } = command
  const whole = { ...command, digestOf: digestOf({ decision, digest, label: label?.name, reason }) }
  const before = await deps.decided(key)
  if (before !== undefined) {
    const { command: stored, ...answer } = before
    if (stored !== whole.digestOf)
      return { outcome: 'refused: the key was used for another decision', answer: 'key_reused' }
    return { outcome: 'decided before', answer }
  }
  const chosen = choose({ digest, label: label?.name }, approvals)
  if (chosen === undefined) return undefined
  const { about } = chosen
  const verdict = chosen.refusal === undefined ? await weigh() : ({ kind: 'refused', refusal: chosen.refusal } as const)
  const answer = answerOf(about, decision, verdict)
  const outcome = answer.refusal === null ? `${decision}: ${answer.state}` : `does not count: ${answer.refusal}`
  if (answer.refusal !== null && answer.state === about.state && (await deps.isFull(about.id, actor.id)))
    return { outcome: `${outcome}; too many to keep`, answer }
  return { outcome, answer, write: (writer) => deps.record(writer, about, whole, verdict) }

  async function weigh(): Promise<Verdict | 'overdue'> {
    if (about.overdue) return 'overdue'
    const forge = deps.forge(project)
    const { run, policy } = about
    const [now, subject, bundled, before] = await Promise.all([
      forge.permission(actor.login),
      forge.subject(run.subject_number),
      deps.bundled(about.digest),
      deps.approvers(about.id),
    ])
    // Only what decides needs to know whether they still may.
    const earlier = await Promise.all(before.map(async ({ id, login }) => ({ id, now: await forge.permission(login) })))
    const head = bundled.revise && (await forge.head(bundled.revise.pull))
    const current = subject?.id === run.subject_id ? subject : undefined
    return decide({
      decision,
      policy,
      requesterId: run.requester_id,
      authorId: current?.authorId,
      ownActorId: project.own_actor_id,
      actor: { ...actor, now },
      earlier,
      // The forge counts whole seconds: within one, nobody knows what was first.
      shown: label === undefined || (about.shownAt !== undefined && about.shownAt < label.setAt),
      outdated: outdated(bundled, current, head),
    })
  }
}

function answerOf(about: Approval, decision: Command['decision'], verdict: Verdict | 'overdue'): Answer {
  const answer = {
    run: about.run.id,
    decision,
    refusal: null,
    state: about.state,
    approvals: 0,
    quorum: about.policy.quorum,
  }
  if (verdict === 'overdue') return { ...answer, refusal: 'expired', state: 'expired' }
  switch (verdict.kind) {
    case 'refused':
      return { ...answer, refusal: verdict.refusal }
    case 'outdated':
      return { ...answer, refusal: 'stale', state: 'stale' }
    case 'denied':
      return { ...answer, state: 'denied' }
    case 'approved':
    case 'pending':
      return { ...answer, state: verdict.kind, approvals: verdict.approvals }
  }
}
