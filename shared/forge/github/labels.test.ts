import { expect, test } from 'vitest'
import { PermanentError } from '#shared/errors.ts'
import { addLabels, ensureLabel, removeLabel } from './labels.ts'
import { readSubject } from './subject.ts'
import { simulator } from './testing/simulator.ts'

test('labels are set and taken off, as often as one likes', async () => {
  const { octokit, repo, issue } = await simulator()
  const { number } = await issue()
  const now = async () => (await readSubject(octokit, repo, number))?.labels
  expect(await addLabels(octokit, repo, number, ['run:dev', 'bug'])).toBe('added')
  expect(await addLabels(octokit, repo, number, ['bug'])).toBe('added')
  expect(await addLabels(octokit, repo, number, [])).toBe('added')
  expect(await now()).toEqual(['run:dev', 'bug'])
  await removeLabel(octokit, repo, number, 'run:dev')
  await removeLabel(octokit, repo, number, 'run:dev')
  await removeLabel(octokit, repo, number, 'never there / at all?')
  expect(await now()).toEqual(['bug'])
  expect(await addLabels(octokit, repo, 999, ['bug'])).toBe('gone')
})

test('a lost answer to setting a label is not noticed', async () => {
  const { octokit, repo, issue, fault } = await simulator()
  const { number } = await issue()
  await fault('POST', '/labels$', 'apply-then-drop', 2)
  await addLabels(octokit, repo, number, ['bug'])
  expect((await readSubject(octokit, repo, number))?.labels).toEqual(['bug'])
})

test('a label of the repository is created, repaired, and left alone', async () => {
  const { octokit, repo } = await simulator()
  const label = { name: 'state:in-review', color: '0e8a16', description: 'A change waits for review' }
  expect(await ensureLabel(octokit, repo, label)).toBe('created')
  expect(await ensureLabel(octokit, repo, { ...label, color: '0E8A16' })).toBe('unchanged')
  expect(await ensureLabel(octokit, repo, { ...label, color: 'ffffff' })).toBe('repaired')
  expect(await ensureLabel(octokit, repo, { ...label, color: 'ffffff' })).toBe('unchanged')
  await expect(ensureLabel(octokit, repo, { ...label, name: '..' })).rejects.toBeInstanceOf(PermanentError)
})
