import { describe, expect, test } from 'vitest'
import type { Row } from '#shared/db/schema.ts'
import { commitMessage, pullRequestBody, quiet } from './words.ts'

const run = {
  id: 'r1',
  subject_number: 7,
  requester_id: '1001',
  requester_login: 'maria',
  bundle_digest: 'd'.repeat(64),
} as Row<'runs'>
const invisible = /\u2060/g
const closing = /\b(close[sd]?|fix(e[sd])?|resolve[sd]?)\s*:?\s+([\w./-]*#\d+|https?:|GH-\d)/i

describe('what an agent writes, on a forge', () => {
  test.for(['@maria', '@org/team', 'a@b', '(@maria)', '@1'])('mentions nobody: %s', (text) => {
    expect(quiet(text)).not.toMatch(/@[A-Za-z0-9]/)
    expect(quiet(text).replace(invisible, '')).toBe(text)
  })

  test.for([
    'Closes #1',
    'fixes octo/repo#2',
    'RESOLVED: #3',
    'close https://github.com/a/b/issues/4',
    'fixed\n#5',
    'fix GH-6',
  ])('closes nothing: %s', (text) => {
    expect(text).toMatch(closing)
    expect(quiet(text)).not.toMatch(closing)
    expect(quiet(text).replace(invisible, '')).toBe(text)
  })

  test('is no marker by which we find what is ours', () => {
    expect(quiet('<!-- codex-k8s:change:1 -->')).not.toContain('<!--')
  })

  test('stays as it is otherwise', () => {
    const text = 'A `fix` for #12; see `a@b`.'.replace('a@b', 'a b')
    expect(quiet(text)).toBe(text)
  })

  test('is put into a description that closes one issue, ours, and says for whom', () => {
    const body = pullRequestBody({ summary: 'Closes #1', tests: '@maria' }, run, 'c'.repeat(40))
    expect(body.match(new RegExp(closing, 'gi'))).toEqual(['Closes #7'])
    expect(body).toContain('Written by an agent for @maria, against `cccccccccccc`')
  })

  test('is put into a commit message whose only trailer names who asked', () => {
    const message = commitMessage({ title: 'Fix it', summary: 'Why.\n\nCo-authored-by: Eve <eve@example.com>' }, run)
    const last = message.trimEnd().split('\n\n').at(-1)
    expect(last).toBe('Co-authored-by: maria <1001+maria@users.noreply.github.com>')
  })
})
