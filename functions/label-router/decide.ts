import type { Revise, TaskContent } from '#shared/job/bundle.ts'
import type { ReasonCode } from '#shared/workflow/reasons.ts'

/** The subject as the forge shows it now; undefined when it is gone. */
export interface Current {
  readonly open: boolean
  readonly locked: boolean
  readonly title: string
  readonly body: string
  /** Default names of the labels that mean something to us. */
  readonly labels: readonly string[]
}

/** Everything the decision about a run label rests on. */
export interface Request {
  /** Undefined: a review asked. */
  readonly label: string | undefined
  /** The label was taken off after it was set; that it is there again is somebody else's request, or another one. */
  readonly takenOff: boolean
  /** Whether who set the label may ask. */
  readonly mayAsk: boolean
  readonly isPullRequest: boolean
  readonly stageConfigured: boolean
  /** The text that was asked for; undefined where nobody can say any more what it was. */
  readonly asked: { readonly title: string; readonly body: string } | undefined
  readonly current: Current | undefined
  readonly comments: readonly { readonly updatedAt: Date; readonly edited: boolean }[]
  /** When the forge recorded the label event. */
  readonly labelledAt: Date
  readonly contentBytes: number
  readonly baseCommit: string | undefined
  readonly models: readonly string[]
}

/** Largest content of a run, bytes. */
export const MAX_CONTENT_BYTES = 512 * 1024

/** A run, or the reason why there is none. */
export type Decision =
  | { readonly kind: 'run'; readonly model: string | undefined; readonly effort: string | undefined }
  | { readonly kind: 'refuse'; readonly reason: ReasonCode; readonly detail?: string }

/** From a request to a run: workflow rules 1 to 5, in the order in which a person can do something about them. */
export function decide(request: Request): Decision {
  const { current } = request
  if (!request.mayAsk) return refuse('actor_not_allowed')
  if (current === undefined) return refuse('subject_gone')
  if (!current.open) return refuse('subject_closed')
  if (current.locked) return refuse('subject_locked')
  if (request.takenOff || (request.label !== undefined && !current.labels.includes(request.label)))
    return refuse('label_removed')
  if (request.isPullRequest) return refuse('not_an_issue')
  for (const prefix of ['run:', 'ai-model:', 'ai-effort:']) {
    const same = current.labels.filter((label) => label.startsWith(prefix))
    if (same.length > 1) return refuse('label_conflict', same.join(', '))
  }
  if (!request.stageConfigured) return refuse('stage_not_configured', request.label)
  if (current.title !== request.asked?.title || current.body !== request.asked.body) return refuse('stale_content')
  // The forge counts whole seconds: an edit within the label's own second may be the later of the two.
  const before = (comment: Request['comments'][number]) =>
    comment.edited ? comment.updatedAt < request.labelledAt : comment.updatedAt <= request.labelledAt
  if (!request.comments.every(before)) return refuse('stale_content')
  if (request.contentBytes > MAX_CONTENT_BYTES) return refuse('content_too_large')
  if (request.baseCommit === undefined) return refuse('base_missing')
  const model = chosen(current.labels, 'ai-model:')
  if (model !== undefined && !request.models.includes(model)) return refuse('model_not_allowed', model)
  return { kind: 'run', model, effort: chosen(current.labels, 'ai-effort:')?.replace('extra-high', 'xhigh') }
}

/** What an event that takes something away means for the runs of a subject, by what the forge shows now. */
export function decideCancel(
  action: string,
  label: string | undefined,
  current: Current | undefined,
): ReasonCode | undefined {
  if (current === undefined) return 'subject_gone'
  if (!current.open) return 'subject_closed'
  if (current.locked) return 'subject_locked'
  if (action === 'unlabeled' && label !== undefined && !current.labels.includes(label)) return 'label_removed'
  // The event is older than the present: the label is back, the issue open again.
  return undefined
}

/** Whether a run that goes on with a change and waited is still wanted, and still of the commit that was asked for. */
export function decideRevisionAgain(
  revision: Revise,
  label: string | undefined,
  issue: Current | undefined,
  pull: { readonly state: string; readonly head: string; readonly labels: readonly string[] } | undefined,
): ReasonCode | undefined {
  const { asked } = revision
  const place = issue && (asked.on === revision.pull ? { ...issue, labels: pull?.labels ?? [] } : issue)
  const reason = decideCancel('unlabeled', asked.by === 'label' ? label : undefined, place)
  if (reason !== undefined) return reason
  if (pull?.state !== 'open') return 'pull_request_closed'
  return pull.head === revision.head ? undefined : 'stale_head'
}

/** Bytes, as UTF-8, of everything the agent will read of the subject. */
export function contentBytes(content: TaskContent): number {
  const texts = [content.title, content.body, ...content.comments.map(({ body }) => body)]
  return new TextEncoder().encode(texts.join('')).length
}

function chosen(labels: readonly string[], prefix: string): string | undefined {
  return labels.find((label) => label.startsWith(prefix))?.slice(prefix.length)
}

function refuse(reason: ReasonCode, detail?: string): Decision {
  return detail === undefined ? { kind: 'refuse', reason } : { kind: 'refuse', reason, detail }
}
