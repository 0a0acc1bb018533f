import { RetryLater } from '#shared/errors.ts'
import type { Settlement } from '#shared/outbox/deliver.ts'
import { askPolicy, mayAsk } from '#shared/workflow/may-ask.ts'
import type { ReasonCode } from '#shared/workflow/reasons.ts'
import { contentOf, currentOf, editOf, knownIn, repositoryOf } from './content.ts'
import { contentBytes, decide } from './decide.ts'
import type { Asked, Deps, Forge, Intent, Project, Pull, Target } from './handler.ts'
import { bundle } from './manifest.ts'
import { reviewContent } from './review-content.ts'
import { stageIn, stageOf, type FoundStage } from './revise-stage.ts'

/** How the name of a label ends that asks for a change to be revised. */
export const REVISE = ':revise'

/** Most pull requests of an issue that are looked at for one that is open. */
const MOST_CHANGES = 10

/** A comment counts as edited when its review is submitted; later than this it was edited after the request. */
const SUBMITTING_MS = 5_000

/** A request to revise a change, by label or by review. */
export interface Wish extends Omit<Asked, 'known'> {
  /** Undefined: a review asked. */
  readonly label: string | undefined
  /** The text of the review as it was sent. */
  readonly review?: { readonly id: string; readonly body: string }
}

/** Starts a run on the change that is meant, or says why there is none. */
export async function revise(deps: Deps, project: Project, forge: Forge, wish: Wish): Promise<Settlement> {
  const { sender } = wish
  const [now, found] = await Promise.all([forge.permission(sender.login), findTarget(deps, project, forge, wish)])
  const allowed = mayAsk({ id: sender.id, type: sender.type, now }, askPolicy(project.settings))
  const byReview = wish.label === undefined
  const named = stageIn(wish.label ?? '') ?? 'undecided'
  // A review is not addressed to us alone: what starts nothing is no request that was refused.
  if (byReview && !allowed) return { outcome: 'ignored: the reviewer may not ask for work here' }
  if (byReview && found === 'not_our_pull_request') return { outcome: 'ignored: the pull request is not ours' }

  const intentOf = (stage: string): Intent => ({
    project,
    // The run belongs to the issue of the change, wherever it was asked for.
    ...(typeof found === 'string'
      ? { subject: wish.subject, version: 0 }
      : { subject: found.subject, version: found.version }),
    askedOn: wish.subject,
    labelEvent: wish.labelEvent,
    label: wish.label ?? `run:${stage}${REVISE}`,
    stage,
    requester: { id: sender.id, login: sender.login },
  })
  const refuse = (reason: ReasonCode, detail?: string, stage = named): Settlement => ({
    outcome: `refused: ${reason}`,
    write: (writer) => deps.refuseRun(writer, intentOf(stage), reason, detail),
  })
  if (!allowed) return refuse('actor_not_allowed')
  if (typeof found === 'string') return refuse(found)
  const { change, subject, pull } = found
  if (pull.state !== 'open') return refuse('pull_request_closed')

  const at = wish.labelEvent.createdAt
  const [shown, comments, said, discussion, history] = await Promise.all([
    forge.subject(subject.number),
    forge.comments(subject.number, at),
    forge.reviews(pull.number, at),
    forge.comments(pull.number, at),
    deps.history(change),
  ])
  const current = currentOf(project, subject.id, shown)
  const labels = { pullRequest: knownIn(project, pull.labels), issue: current?.labels ?? [] }
  const decided: FoundStage | undefined =
    wish.label === undefined
      ? stageOf({ pullRequestLabels: labels.pullRequest, issueLabels: labels.issue, ...history })
      : { stage: named, rule: 'label' }
  if (decided === undefined) return refuse('stage_undecided')
  const stage = deps.workflow.stages.find(({ id, revise: how }) => id === decided.stage && how !== null)

  const others = ({ authorId }: { authorId: string | null }) => authorId !== project.own_actor_id
  const theirs = comments.filter(others)
  const text = current && (await wish.text(current))
  const content = contentOf(text, theirs)
  const review = reviewContent(pull, history.previous, {
    reviews: said.reviews.filter(others),
    comments: said.comments.filter(others),
    discussion: discussion.filter(others),
  })
  const standing = wish.subject.kind === 'issue' ? labels.issue : labels.pullRequest
  const decision = decide({
    label: wish.label,
    takenOff: wish.labelEvent.takenOff === true,
    mayAsk: allowed,
    isPullRequest: false,
    stageConfigured: stage !== undefined,
    asked: text,
    // What counts: run labels where it was asked, the model and effort of the issue, else of the pull request.
    current: current && {
      ...current,
      labels: [
        ...(byReview ? [] : standing.filter((label) => label.startsWith('run:'))),
        ...['ai-model:', 'ai-effort:'].flatMap((prefix) => sticky(prefix, labels.issue, labels.pullRequest)),
      ],
    },
    comments: [...theirs, ...discussion.filter(others)].map(editOf),
    labelledAt: at,
    contentBytes: contentBytes(content) + Buffer.byteLength(JSON.stringify(review)),
    baseCommit: change.base_commit,
    models: deps.models,
  })
  if (decision.kind === 'refuse') return refuse(decision.reason, decision.detail, decided.stage)
  if (stage === undefined) return refuse('stage_not_configured', undefined, decided.stage)
  if (wish.head !== undefined && wish.head !== pull.head) return refuse('stale_head', undefined, decided.stage)
  const written = wish.review && said.reviews.find(({ id }) => id === wish.review?.id)
  const rewritten = written !== undefined && written.body !== wish.review?.body
  if (rewritten || said.comments.some(({ updatedAt }) => Date.parse(updatedAt) > at.getTime() + SUBMITTING_MS))
    return refuse('stale_content', undefined, decided.stage)

  const model = decision.model ?? deps.models.find((name) => name === history.model) ?? deps.model
  const place = {
    repository: repositoryOf(project),
    subject,
    base: { ref: change.base_ref, commit: change.base_commit },
  }
  const choices = { model, effort: decision.effort ?? history.effort }
  const input = bundle(deps.workflow, stage, place, content, choices, {
    change: change.id,
    pull: pull.number,
    head: pull.head,
    asked: { by: byReview ? 'review' : 'label', on: wish.subject.number },
    rule: decided.rule,
    session: history.session,
    review,
  })
  return {
    outcome: `run of ${stage.id} on #${pull.number}, the stage by ${decided.rule}`,
    write: (writer) => deps.createRun(writer, intentOf(stage.id), input),
  }
}

/** The change that is meant, with the version of its issue from before the forge was asked, and its pull request as it is now. */
interface Found extends Target {
  readonly version: number
  readonly pull: Pull
}

async function findTarget(
  deps: Deps,
  project: Project,
  forge: Forge,
  { subject }: Wish,
): Promise<Found | 'nothing_to_revise' | 'not_our_pull_request' | 'pull_request_closed'> {
  if (subject.kind === 'pull_request') {
    const target = await deps.changeOfPull(project.id, subject.number)
    const version = target === undefined ? 0 : await deps.subjectVersion(project.id, target.subject.id)
    const pull = await forge.pullRequest(subject.number)
    if (pull === undefined) return 'not_our_pull_request'
    if (target !== undefined) return { ...target, version, pull }
    if (pull.authorId !== project.own_actor_id || !pull.branch.startsWith('agent/')) return 'not_our_pull_request'
    throw new RetryLater(`#${subject.number} is ours and not recorded yet`)
  }
  const version = await deps.subjectVersion(project.id, subject.id)
  const targets = await deps.changesOf(project.id, subject.id, MOST_CHANGES)
  for (const target of targets) {
    const pull = target.change.pull_number === null ? undefined : await forge.pullRequest(target.change.pull_number)
    if (pull?.state === 'open') return { ...target, version, pull }
  }
  return targets.length === 0 ? 'nothing_to_revise' : 'pull_request_closed'
}

/** The labels of a kind on the first place that has one. */
function sticky(prefix: string, ...places: readonly (readonly string[])[]): string[] {
  const each = places.map((labels) => labels.filter((label) => label.startsWith(prefix)))
  return each.find((labels) => labels.length > 0) ?? []
}
