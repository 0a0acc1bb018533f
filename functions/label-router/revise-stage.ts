import type { Revise } from '#shared/job/bundle.ts'

/** What may tell which stage has to be revised. Labels by their default names; stages as runs recorded them. */
export interface Signs {
  readonly pullRequestLabels: readonly string[]
  readonly issueLabels: readonly string[]
  /** Of the newest run of this pull request. */
  readonly changeStage: string | undefined
  /** Of the newest run of the issue. */
  readonly issueStage: string | undefined
}

/** The stage, and the rule that found it. */
export interface FoundStage {
  readonly stage: string
  readonly rule: Revise['rule']
}

/** Workflow rule 4, in its order. Undefined where labels of one place name two stages, or nothing tells: people are asked. */
export function stageOf(signs: Signs): FoundStage | undefined {
  const labels = [
    ['pull_request_label', stagesIn(signs.pullRequestLabels)],
    ['issue_label', stagesIn(signs.issueLabels)],
  ] as const
  for (const [rule, stages] of labels) {
    const [stage, other] = stages
    if (other !== undefined) return undefined
    if (stage !== undefined) return { stage, rule }
  }
  if (signs.changeStage !== undefined) return { stage: signs.changeStage, rule: 'change_run' }
  if (signs.issueStage !== undefined) return { stage: signs.issueStage, rule: 'issue_run' }
  return undefined
}

/** The stage that a run label names, also one that asks to revise. */
export function stageIn(label: string): string | undefined {
  return /^run:([^:]+)(?::revise)?$/.exec(label)?.[1]
}

/** The stages that run labels name, each once. */
function stagesIn(labels: readonly string[]): string[] {
  return [...new Set(labels.flatMap((label) => stageIn(label) ?? []))]
}
