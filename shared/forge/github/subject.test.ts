import { expect, test } from 'vitest'
import { RetryLater } from '#shared/errors.ts'
import { readRepository } from './repository.ts'
import { readComments, readSubject } from './subject.ts'
import { repo, scripted } from './testing/scripted.ts'
import { simulator } from './testing/simulator.ts'

test('an issue is read as it is now', async () => {
  const { octokit, repo, alice, at, issue } = await simulator()
  const { number, id } = await issue('It adds wrong.')
  await alice.request('POST /repos/{owner}/{repo}/issues/{issue_number}/labels', {
    ...at,
    issue_number: number,
    labels: ['bug'],
  })
  await alice.request('PATCH /repos/{owner}/{repo}/issues/{issue_number}', {
    ...at,
    issue_number: number,
    state: 'closed',
  })
  expect(await readSubject(octokit, repo, number)).toEqual({
    id: String(id),
    number,
    kind: 'issue',
    state: 'closed',
    locked: false,
    title: 'Wrong sum',
    body: 'It adds wrong.',
    labels: ['bug'],
    authorId: '1001',
  })
  expect(await readSubject(octokit, repo, number + 100)).toBeUndefined()
})

test('a transferred issue is gone, a renamed repository is not', async () => {
  const server = (fullName: string) =>
    scripted(({ path }) => (path === '/repositories/42' ? { body: { id: 42, full_name: fullName } } : { status: 301 }))
  const transferred = await server('Acme/Shop')
  expect(await readSubject(transferred.octokit, repo, 1)).toBeUndefined()
  const renamed = await server('acme/store')
  await expect(readSubject(renamed.octokit, repo, 1)).rejects.toBeInstanceOf(RetryLater)
  const deleted = await scripted(() => ({ status: 410 }))
  expect(await readSubject(deleted.octokit, repo, 1)).toBeUndefined()
})

test('comments after the time asked for are left out, oldest first', async () => {
  const { octokit, repo, alice, bob, at, issue } = await simulator()
  const { number } = await issue()
  const path = 'POST /repos/{owner}/{repo}/issues/{issue_number}/comments'
  await alice.request(path, { ...at, issue_number: number, body: 'one' })
  const { data } = await bob.request(path, { ...at, issue_number: number, body: 'two' })
  const comments = await readComments(octokit, repo, number, { notAfter: new Date(data.created_at) })
  expect(comments.map(({ author, authorId, body }) => [author, authorId, body])).toEqual([
    ['alice', '1001', 'one'],
    ['bob', '1002', 'two'],
  ])
  const before = new Date(Date.parse(data.created_at) - 60_000)
  expect(await readComments(octokit, repo, number, { notAfter: before })).toEqual([])
})

test('of many comments the latest two hundred are given', async () => {
  const { octokit, seen } = await scripted(({ path }) => {
    const page = Number(new URL(path, 'http://x').searchParams.get('page'))
    const body = Array.from({ length: page === 5 ? 30 : 100 }, (_, index) => ({
      id: (page - 1) * 100 + index + 1,
      user: null,
      created_at: '2026-01-01T00:00:00Z',
      updated_at: '2026-01-01T00:00:00Z',
    }))
    return { body, headers: page === 5 ? {} : { link: '<https://x/?page=5&per_page=100>; rel="last"' } }
  })
  const comments = await readComments(octokit, repo, 1, { notAfter: new Date('2100-01-01') })
  expect(comments).toHaveLength(200)
  expect([comments[0]?.id, comments.at(-1)?.id]).toEqual(['231', '430'])
  expect(comments[0]).toMatchObject({ author: 'ghost', authorId: '10137', body: '' })
  expect(seen).toHaveLength(4)
})

test('a repository is known by its id', async () => {
  const { octokit, repo } = await simulator()
  expect(await readRepository(octokit, repo)).toEqual({
    id: repo.repositoryId,
    fullName: 'alice/calc',
    defaultBranch: 'main',
    private: false,
    archived: false,
  })
  const other = { ...repo, fullName: 'alice/another' }
  await expect(readRepository(octokit, other)).rejects.toBeInstanceOf(RetryLater)
  const gone = await scripted(() => ({ status: 404 }))
  expect(await readRepository(gone.octokit, repo)).toBeUndefined()
})
