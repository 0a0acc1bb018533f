import { expect, test } from 'vitest'
import type { Step } from './history.ts'
import { moveAfterReview } from './reviewed.ts'

const step = (output: string, tool = 'exec_command', exitCode = 0): Step => ({ tool, input: '', output, exitCode })
const review = (remark: string) =>
  step(
    `## Comment by maria on \`src/money.js\`, line 4, now\n\n> ${remark}\n\n== files\nsrc/money.js\ntest/money.test.js\n`,
  )
const asked = review('A price with more than two decimals is a mistake: refuse it.')
const read = step(
  [
    '==> src/money.js <==',
    'export function toCents(price) {',
    '  return Math.round(price * 100)',
    '}',
    '',
    '==> test/money.test.js <==',
    "import { test } from 'node:test'",
    '',
    "test('it works', () => {})",
  ].join('\n'),
)

test('first the review is read, then the file it speaks of and its tests', () => {
  expect(moveAfterReview([])).toMatchObject({ command: expect.stringContaining('../task/review.md') as string })
  expect(moveAfterReview([asked])).toEqual({
    kind: 'command',
    command: 'tail -v -n +1 src/money.js test/money.test.js',
  })
})

test('what the remark asks for is done, with a test, and the tests are run', () => {
  const move = moveAfterReview([asked, read])
  expect(move.kind === 'patch' && move.patch.split('\n')).toEqual([
    '*** Begin Patch',
    '*** Update File: src/money.js',
    '@@',
    ' export function toCents(price) {',
    '-  return Math.round(price * 100)',
    '+  const cents = Math.round(price * 100)',
    '+  if (Math.abs(price * 100 - cents) > 1e-6) throw new TypeError(`more than two decimals: ${price}`)',
    '+  return cents',
    ' }',
    '*** Update File: test/money.test.js',
    '@@',
    ' ',
    "+test('a price with more than two decimals is refused', () => {",
    '+  assert.throws(() => toCents(19.999), TypeError)',
    '+})',
    '+',
    " test('it works', () => {})",
    '*** End Patch',
    '',
  ])
  const patched = step('Success.', 'apply_patch')
  expect(moveAfterReview([asked, read, patched])).toEqual({ kind: 'command', command: 'node --test' })
  expect(moveAfterReview([asked, read, patched, step('')])).toMatchObject({
    kind: 'message',
    text: expect.stringContaining('all tests pass') as string,
  })
})

test('without a remark that it understands nothing is changed', () => {
  expect(moveAfterReview([review('I do not like it.')])).toMatchObject({
    kind: 'message',
    text: expect.stringContaining('nothing is changed') as string,
  })
})
