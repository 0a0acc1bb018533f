import * as v from 'valibot'
import { expect, test } from 'vitest'
import type { ApprovalPolicy } from '#shared/job/bundle.ts'
import { defaultWorkflow } from '#shared/workflow/default-workflow.ts'
import { Gates, withGates } from '#shared/workflow/gates.ts'

const gate: ApprovalPolicy = {
  users: [],
  permission: 'write',
  quorum: 1,
  excludeRequester: true,
  expiresAfterSeconds: 60,
}

test("an installation's gate stands before its stage, and the workflow is another one by its digest", async () => {
  const workflow = await defaultWorkflow()
  const gated = withGates(workflow, { dev: gate })
  expect(gated.stages.find(({ id }) => id === 'dev')?.gate).toEqual(gate)
  expect(gated.digest).not.toBe(workflow.digest)
  expect(withGates(gated, { dev: null }).stages.find(({ id }) => id === 'dev')?.gate).toBeNull()
  expect(withGates(workflow, {})).toBe(workflow)
})

test('P-9 another quorum is another policy, and another digest', async () => {
  const workflow = await defaultWorkflow()
  const [one, two] = [1, 2].map((quorum) => withGates(workflow, { dev: { ...gate, quorum } }).digest)
  expect(one).not.toBe(two)
})

test('a gate for a stage that is not there stops the start', async () => {
  const workflow = await defaultWorkflow()
  expect(() => withGates(workflow, { deploy: gate })).toThrow('deploy')
})

test.for([{ dev: { ...gate, quorum: 0 } }, { dev: { ...gate, label: 'run:dev' } }, { dev: 1 }, 'dev'])(
  '%j are no gates',
  (gates) => expect(v.is(Gates, gates)).toBe(false),
)
