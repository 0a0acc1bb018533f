import { expect, test } from 'vitest'
import { nextMove } from './engineer.ts'
import type { Step } from './history.ts'
import { turnOf } from './history.ts'

const look: Step = {
  tool: 'exec_command',
  input: 'cat ../task/issue.md',
  output:
    '## Title\n\n> A cent is lost\n\n== files\nREADME.md\nsrc/price.ts\nsrc/other.js\ntest/price.test.ts\n-rf.js\na b.js\n',
  exitCode: 0,
}
const source = ['export function cents(amount) {', '  // typed by people', '  return Math.floor(amount * 100)', '}', '']
const read = (lines: string[]): Step => ({
  tool: 'exec_command',
  input: 'tail',
  output: `==> src/other.js <==\nexport {}\n\n==> src/price.ts <==\n${lines.join('\n')}# fail 1\n`,
  exitCode: 1,
})
const patched: Step = { tool: 'apply_patch', input: '', output: 'Success.', exitCode: 0 }
const tested = (exitCode: number): Step => ({ tool: 'exec_command', input: 'node --test', output: '', exitCode })

const messageOf = (steps: Step[]) => {
  const move = nextMove(steps)
  return move.kind === 'message'
    ? (JSON.parse(move.text) as { title: string; summary: string; tests: string })
    : undefined
}

test('first the task is read and the files are listed', () => {
  expect(nextMove([])).toMatchObject({ kind: 'command', command: expect.stringContaining('../task/issue.md') })
})

test('then the source files are read, tests and odd names aside, and the tests are run', () => {
  expect(nextMove([look])).toEqual({ kind: 'command', command: 'tail -v -n +1 src/price.ts src/other.js; node --test' })
})

test('the patch is made of the lines that were read', () => {
  expect(nextMove([look, read(source)])).toEqual({
    kind: 'patch',
    patch: [
      '*** Begin Patch',
      '*** Update File: src/price.ts',
      '@@',
      ' export function cents(amount) {',
      '   // typed by people',
      '-  return Math.floor(amount * 100)',
      '+  return Math.round(amount * 100)',
      ' }',
      '*** End Patch',
      '',
    ].join('\n'),
  })
})

test('after the patch the tests are run again, and the message says how they ended', () => {
  expect(nextMove([look, read(source), patched])).toEqual({ kind: 'command', command: 'node --test' })
  expect(messageOf([look, read(source), patched, tested(0)])).toMatchObject({
    title: 'Fix: A cent is lost',
    tests: '`node --test`: all tests pass.',
  })
  expect(messageOf([look, read(source), patched, tested(1)])).toMatchObject({
    tests: '`node --test`: tests still fail.',
  })
})

test('source without a known mistake is left alone, and the message says so', () => {
  expect(messageOf([look, read(['export {}', ''])])).toMatchObject({ title: 'No fix found: A cent is lost' })
})

test('a call without its output is not a step, so a replay after a cut gets the same move', () => {
  const call = { type: 'function_call', call_id: '1', name: 'exec_command', arguments: '{"cmd":"ls"}' }
  const output = { type: 'function_call_output', call_id: '1', output: 'Process exited with code 3\nOutput:\nfiles\n' }
  expect(turnOf({ model: 'm', input: [call] }).steps).toEqual([])
  expect(turnOf({ model: 'm', input: [call, output] }).steps).toEqual([
    { tool: 'exec_command', input: 'ls', output: 'files\n', exitCode: 3 },
  ])
})

test('a conversation that goes on has the steps of its own turn, after the last message to the model', () => {
  const say = (text: string) => ({ type: 'message', role: 'user', content: [{ type: 'input_text', text }] })
  const call = { type: 'function_call', call_id: '1', name: 'exec_command', arguments: '{"cmd":"ls"}' }
  const output = { type: 'function_call_output', call_id: '1', output: 'a' }
  expect(turnOf({ model: 'm', input: [say('Fix it.'), call, output, say('Read ../task/review.md.')] })).toEqual({
    task: 'Read ../task/review.md.',
    steps: [],
  })
})
