import { expect, test } from 'vitest'
import { RetryLater } from '#shared/errors.ts'
import { commitChangeSet } from './commit.ts'
import { openPullRequest } from './pull-request.ts'
import { repo as nowhere, scripted } from './testing/scripted.ts'
import { simulator } from './testing/simulator.ts'

const wanted = {
  head: 'agent/7-abc',
  base: 'main',
  title: 'Fix the sum',
  body: 'It adds right.',
  marker: '<!-- change:abc -->',
}

async function withBranch() {
  const all = await simulator()
  const content = new TextEncoder().encode('a - -b\n')
  const files = [{ path: 'src/add.js', mode: '100644' as const, content }]
  await commitChangeSet(all.octokit, all.repo, {
    parent: all.main,
    branch: wanted.head,
    message: 'x',
    files,
    expectedHead: null,
  })
  const pulls = async () =>
    (await all.alice.request('GET /repos/{owner}/{repo}/pulls', { ...all.at, state: 'all' })).data
  return { ...all, pulls, open: (more = {}) => openPullRequest(all.octokit, all.repo, { ...wanted, ...more }) }
}

test('a pull request is opened once', async () => {
  const { open, pulls, bot, main } = await withBranch()
  const first = await open()
  expect(first).toMatchObject({ state: 'open', created: true })
  expect(await open()).toEqual({ ...first, created: false })
  expect(await pulls()).toHaveLength(1)
  if ('refused' in first) throw new Error(first.refused)
  expect(first.url).toContain(`/alice/calc/pull/${first.number}`)
  expect((await pulls())[0]).toMatchObject({
    id: Number(first.id),
    state: 'open',
    title: 'Fix the sum',
    body: 'It adds right.\n\n<!-- change:abc -->',
    user: { id: Number(bot.id) },
    head: { ref: wanted.head },
    base: { ref: 'main', sha: main },
  })
})

test('a lost answer is not asked for again in the same call, and the next call finds', async () => {
  const { open, pulls, fault } = await withBranch()
  await fault('POST', '/pulls$', 'apply-then-drop')
  await expect(open()).rejects.toBeInstanceOf(RetryLater)
  expect(await open()).toMatchObject({ created: false })
  expect(await pulls()).toHaveLength(1)
})

test('of two at the same time one opens it and the other finds it', async () => {
  const { open, pulls } = await withBranch()
  const both = await Promise.all([open(), open()])
  expect(new Set(both.map((one) => ('refused' in one ? one.refused : one.number))).size).toBe(1)
  expect(await pulls()).toHaveLength(1)
})

test('title and body of what is found change only when asked', async () => {
  const { open, pulls } = await withBranch()
  await open()
  await open({ title: 'Other' })
  expect((await pulls())[0]?.title).toBe('Fix the sum')
  await open({ title: 'Other', rewrite: true })
  expect((await pulls())[0]?.title).toBe('Other')
})

test('one that a person closed is not opened again', async () => {
  const { open, pulls, alice, at } = await withBranch()
  const first = await open()
  const [pull] = await pulls()
  await alice.request('PATCH /repos/{owner}/{repo}/pulls/{pull_number}', {
    ...at,
    pull_number: pull?.number ?? 0,
    state: 'closed',
  })
  expect(await open()).toEqual({ ...first, created: false, state: 'closed' })
  expect(await pulls()).toHaveLength(1)
})

test('what the forge refuses comes back as its sentence', async () => {
  const message = 'Validation Failed'
  const errors = [{ message: 'No commits between main and agent/7-abc' }]
  const { octokit } = await scripted(({ method }) =>
    method === 'POST' ? { status: 422, body: { message, errors } } : { body: [] },
  )
  const result = await openPullRequest(octokit, nowhere, wanted)
  expect(result).toEqual({ refused: expect.stringContaining('No commits between') as string })
})

test('one that exists and is not listed yet is asked for again later', async () => {
  const body = {
    message: 'Validation Failed',
    errors: [{ message: 'A pull request already exists for acme:agent/7-abc.' }],
  }
  const { octokit } = await scripted(({ method }) => (method === 'POST' ? { status: 422, body } : { body: [] }))
  await expect(openPullRequest(octokit, nowhere, wanted)).rejects.toBeInstanceOf(RetryLater)
})

test('a pull request of a fork with our branch name is not ours', async () => {
  const pull = (id: number, repository: number | null) => ({
    id,
    number: id,
    state: 'open',
    html_url: `https://x/${id}`,
    head: { ref: wanted.head, sha: 'a', repo: repository === null ? null : { id: repository } },
    base: { ref: 'main', sha: 'b' },
  })
  const { octokit } = await scripted(({ method }) =>
    method === 'POST' ? { status: 201, body: pull(9, 42) } : { body: [pull(3, 43), pull(4, null)] },
  )
  expect(await openPullRequest(octokit, nowhere, wanted)).toMatchObject({ number: 9, created: true })
})
