import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { stageOf, type Signs } from './revise-stage.ts'

const nothing: Signs = { pullRequestLabels: [], issueLabels: [], changeStage: undefined, issueStage: undefined }

test.for<[string, Partial<Signs>, object | undefined]>([
  ['the label of the pull request', { pullRequestLabels: ['run:qa'] }, { stage: 'qa', rule: 'pull_request_label' }],
  ['the label of the issue', { issueLabels: ['run:qa:revise', 'bug'] }, { stage: 'qa', rule: 'issue_label' }],
  ['the last run of the pull request', { changeStage: 'qa' }, { stage: 'qa', rule: 'change_run' }],
  ['the last run of the issue', { issueStage: 'qa' }, { stage: 'qa', rule: 'issue_run' }],
  ['nothing', {}, undefined],
])('%s tells the stage', ([, signs, found]) => {
  expect(stageOf({ ...nothing, ...signs })).toEqual(found)
})

const stage = fc.constantFrom('dev', 'qa', 'doc-audit')
const labels = fc.array(
  fc.oneof(
    stage.map((id) => `run:${id}`),
    stage.map((id) => `run:${id}:revise`),
    fc.constantFrom('bug', 'state:in-review', 'ai-effort:low'),
  ),
  { maxLength: 3 },
)
const signs = fc.record({
  pullRequestLabels: labels,
  issueLabels: labels,
  changeStage: fc.option(stage, { nil: undefined }),
  issueStage: fc.option(stage, { nil: undefined }),
})
const stages = (names: readonly string[]) => new Set(names.flatMap((name) => /^run:([a-z-]+)/.exec(name)?.[1] ?? []))

test('what is nearer decides alone: nothing further away changes it', () => {
  const holds = fc.property(signs, signs, (near, far) => {
    const nearest = stages(near.pullRequestLabels).size
    const decided = nearest > 0 ? ['pullRequestLabels'] : stages(near.issueLabels).size > 0 ? ['issueLabels'] : []
    // Everything further away comes from elsewhere.
    const own = decided.length === 0 ? near : { pullRequestLabels: near.pullRequestLabels }
    const other = { ...far, ...own, ...(decided[0] === 'issueLabels' && { issueLabels: near.issueLabels }) }
    return isDeepStrictEqual(stageOf(other), stageOf(near))
  })
  expect(fc.check(holds)).toMatchObject({ failed: false })
})

test('two stages on one place are never chosen from, and a stage is one that a label or a run names', () => {
  const holds = fc.property(signs, (all) => {
    const found = stageOf(all)
    const [nearest, next] = [stages(all.pullRequestLabels), stages(all.issueLabels)]
    if (nearest.size > 1 || (nearest.size === 0 && next.size > 1)) return found === undefined
    return found === undefined || [...nearest, ...next, all.changeStage, all.issueStage].includes(found.stage)
  })
  expect(fc.check(holds)).toMatchObject({ failed: false })
})
