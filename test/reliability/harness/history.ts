import { seeded } from '../../../deploy/local/seeded.ts'
import type { Person } from './forge.ts'

/** What a person does to an issue. `run` and `bug` are labels that are set, the others say themselves. */
export type Act = 'run' | 'unrun' | 'bug' | 'unbug' | 'close' | 'reopen'

/** How somebody answers a run that waits for an approval; the last two end it. */
export type Answer = 'comment' | 'label' | 'api' | 'not theirs to give' | 'deny' | 'expire'

/** One issue: what happens to it before its first delivery is sent, and what only while we are at work on it. */
export interface IssueScript {
  /** Index of the repository. */
  readonly repository: number
  readonly who: Person
  /** Whether it is opened with the run label. */
  readonly openedWithLabel: boolean
  readonly acts: readonly Act[]
  /** When its deliveries begin, as a share of the time that the history takes. */
  readonly begins: number
  readonly late: readonly { readonly act: Act; readonly afterMs: number }[]
  /** How its pull request is asked to be gone on with. */
  readonly revise: 'label' | 'review' | undefined
  /** Whether its runs wait for an approval, and how that is answered. */
  readonly isGated: boolean
  readonly answer: Answer
}

/** A history: the same for the same seed and size. */
export interface History {
  readonly seed: number
  readonly issues: readonly IssueScript[]
  /** Draws what is left to draw: disorder of the deliveries, noise. */
  readonly random: () => number
}

/** Shares of what people do; they need not add up to anything. */
const KINDS: readonly (readonly [weight: number, kind: Pick<IssueScript, 'acts'> & Partial<IssueScript>])[] = [
  [40, { acts: ['run'] }],
  [6, { acts: ['run'], revise: 'label' }],
  [6, { acts: ['run'], revise: 'review' }],
  [10, { acts: [], openedWithLabel: true }],
  [10, { acts: ['run', 'unrun', 'run'] }],
  [4, { acts: ['bug', 'run', 'unbug', 'unrun', 'run', 'unrun', 'run'] }],
  [8, { acts: ['run', 'unrun'] }],
  [8, { acts: ['run', 'close'] }],
  [6, { acts: ['run', 'close', 'reopen'] }],
  [6, { acts: ['run', 'bug'], who: 'theo' }],
  [4, { acts: ['run'], late: [{ act: 'unrun', afterMs: 6_000 }] }],
  [4, { acts: ['run'], late: [{ act: 'close', afterMs: 6_000 }] }],
  [
    4,
    {
      acts: ['run'],
      late: [
        { act: 'unrun', afterMs: 4_000 },
        { act: 'run', afterMs: 4_000 },
      ],
    },
  ],
]

const ANSWERS: readonly Answer[] = ['comment', 'label', 'api', 'not theirs to give', 'deny', 'expire']

/** A history of so many issues over so many repositories, with or without a gate before every run. */
export function generate(seed: number, issues: number, repositories: number, isGated: boolean): History {
  const random = seeded(seed)
  const total = KINDS.reduce((sum, [weight]) => sum + weight, 0)
  const pick = () => {
    let left = random() * total
    return KINDS.find(([weight]) => (left -= weight) < 0)?.[1] ?? KINDS[0]![1]
  }
  const scripts = Array.from({ length: issues }, (_, index): IssueScript => {
    const { late = [], ...kind } = pick()
    return {
      repository: Math.floor(random() * repositories),
      who: 'maria',
      openedWithLabel: false,
      begins: random() * 0.8,
      revise: undefined,
      ...kind,
      isGated,
      answer: ANSWERS[index % ANSWERS.length]!,
      late: late.map(({ act, afterMs }) => ({ act, afterMs: Math.round(random() * afterMs) })),
    }
  })
  return { seed, issues: scripts, random }
}
