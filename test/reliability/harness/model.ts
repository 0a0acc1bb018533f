import type { ForgeEntry } from './forge.ts'
import { keyOf, type OpenedIssue } from './reviewers.ts'

/** What one issue has to have led to in the end. */
export interface Expected {
  /** `maria/shop-1#7` */
  readonly issue: string
  readonly repository: string
  readonly number: number
  /** Pull requests, at least and at most: only what people did while we were at work leaves a choice. */
  readonly pulls: readonly [least: number, most: number]
  /** Label events of people who may ask, and of all: there is never a run, or a request that was refused, more than that. */
  readonly asked: number
  readonly labelled: number
  /** Revisions that were asked for: as many commits more on its pull request, and runs besides those of labels. */
  readonly revisions: number
}

/** People who may ask for work. */
const MAY_ASK = new Set(['maria'])
const LABEL = 'run:dev'

interface Issue {
  readonly repository: string
  readonly number: number
  open: boolean
  /** Who set the label that is there; undefined while it is not there. */
  labelledBy: string | undefined
  asked: number
  labelled: number
  /** Whether it was wanted when the first delivery was sent. */
  settled: boolean
  /** Label events since then, and whether something was taken away. */
  late: { asked: number; taken: boolean }
}

/**
 * The sequential reference model: what people did on the forge, one after the other as the forge's own ledger has it, and
 * nothing else but how the issue's runs were answered. Up to entry `settledAt` no delivery had been sent, so what counts is where that left the issue.
 */
export function expectations(
  ledger: readonly ForgeEntry[],
  settledAt: number,
  opened: readonly OpenedIssue[],
  revisions: ReadonlyMap<string, number>,
): readonly Expected[] {
  const ended = new Set(opened.filter(isEnded).map(keyOf))

  const issues = new Map<string, Issue>()
  const ofPeople = ledger.filter(
    ({ login, kind }) => kind === 'issue.created' || /^(maria|theo|walt)$/.test(login ?? ''),
  )
  for (const { seq, kind, repo = '', number = 0, label, login = '' } of ofPeople) {
    const key = `${repo}#${number}`
    const issue = issues.get(key) ?? {
      repository: repo,
      number,
      open: true,
      labelledBy: undefined,
      asked: 0,
      labelled: 0,
      settled: false,
      late: { asked: 0, taken: false },
    }
    issues.set(key, issue)
    const isLate = seq > settledAt
    if (kind === 'label.added' && label === LABEL) {
      issue.labelledBy = login
      issue.labelled += 1
      if (MAY_ASK.has(login)) issue.asked += 1
      if (MAY_ASK.has(login) && isLate) issue.late.asked += 1
    }
    if (kind === 'label.removed' && label === LABEL) {
      issue.labelledBy = undefined
      issue.late.taken ||= isLate
    }
    if (kind === 'issue.closed') {
      issue.open = false
      issue.late.taken ||= isLate
    }
    if (kind === 'issue.reopened') issue.open = true
    if (!isLate) issue.settled = isWanted(issue)
  }
  return [...issues].map(([key, issue]) => {
    const { repository, number, asked, labelled, settled, late } = issue
    const least = (settled && !late.taken) || (late.asked > 0 && isWanted(issue)) ? 1 : 0
    const most = (settled ? 1 : 0) + late.asked
    const pulls = ended.has(key) ? ([0, 0] as const) : ([least, most] as const)
    return { issue: key, repository, number, asked, labelled, pulls, revisions: revisions.get(key) ?? 0 }
  })
}

/** What nobody lets pass never gets a pull request. */
const isEnded = ({ script }: OpenedIssue) => script.isGated && (script.answer === 'deny' || script.answer === 'expire')

const isWanted = ({ open, labelledBy }: Issue) => open && MAY_ASK.has(labelledBy ?? '')
