import { expect, test } from 'vitest'
import { openPullRequest, readPullRequest } from './pull-request.ts'
import { commitChangeSet } from './commit.ts'
import { readReviews } from './review.ts'
import { repo as nowhere, scripted } from './testing/scripted.ts'
import { simulator } from './testing/simulator.ts'

const REVIEWS = 'POST /repos/{owner}/{repo}/pulls/{pull_number}/reviews'

async function withPull() {
  const all = await simulator()
  const { octokit, repo, main } = all
  const content = new TextEncoder().encode('hello\n')
  const made = await commitChangeSet(octokit, repo, {
    parent: main,
    branch: 'agent/1-a',
    message: 'Say hello',
    files: [{ path: 'hello.txt', mode: '100644', content }],
    expectedHead: null,
  })
  const wanted = { head: 'agent/1-a', base: 'main', title: 'Say hello', body: '', marker: '<!-- x -->' }
  const pull = await openPullRequest(octokit, repo, wanted)
  if ('refused' in pull || 'conflict' in made) throw new Error('no pull request')
  return { ...all, number: pull.number, head: made.commit }
}

test('reviews and their comments are read as data, with author, verdict, path, line and hunk', async () => {
  const { octokit, repo, alice, bob, at, number } = await withPull()
  const comments = [{ path: 'hello.txt', line: 1, body: 'Louder.' }]
  const here = { ...at, pull_number: number }
  await alice.request(REVIEWS, { ...here, event: 'REQUEST_CHANGES', body: 'Not yet.', comments })
  await bob.request(REVIEWS, { ...here, event: 'APPROVE' })

  const found = await readReviews(octokit, repo, number, { notAfter: new Date(Date.now() + 5_000) })
  expect(found.reviews).toMatchObject([
    { author: 'alice', authorId: '1001', state: 'changes_requested', body: 'Not yet.' },
    { author: 'bob', state: 'approved', body: '' },
  ])
  expect(found.comments).toMatchObject([
    { author: 'alice', path: 'hello.txt', line: 1, hunk: '@@ -0,0 +1,1 @@\n+hello', body: 'Louder.' },
  ])
  expect(await readReviews(octokit, repo, number, { notAfter: new Date(Date.now() - 60_000) })).toEqual({
    reviews: [],
    comments: [],
  })
  expect(await readReviews(octokit, repo, 999, { notAfter: new Date() })).toEqual({ reviews: [], comments: [] })
})

test('a comment that was drafted before the request and submitted after it is not part of what was asked for', async () => {
  const [early, request, late] = ['2026-01-01T10:00:00Z', '2026-01-01T10:05:00Z', '2026-01-01T10:10:00Z']
  const user = { login: 'maria', id: 1 }
  const { octokit } = await scripted(({ path }) =>
    path.includes('/reviews')
      ? {
          body: [
            { id: 1, user, state: 'CHANGES_REQUESTED', body: 'No.', submitted_at: early },
            { id: 2, user: null, state: 'COMMENTED', body: 'Later.', submitted_at: late },
            { id: 3, user, state: 'PENDING', body: 'A draft.' },
          ],
        }
      : {
          body: [1, 2, 3].map((review) => ({
            pull_request_review_id: review,
            user,
            path: 'a.js',
            line: null,
            diff_hunk: '',
            created_at: early,
            updated_at: early,
            body: `of ${review}`,
          })),
        },
  )
  const found = await readReviews(octokit, nowhere, 1, { notAfter: new Date(request) })
  expect(found.reviews.map(({ body }) => body)).toEqual(['No.'])
  expect(found.comments.map(({ body }) => body)).toEqual(['of 1'])
})

test('a pull request is read by its number, with its head and labels', async () => {
  const { octokit, repo, alice, at, number, head } = await withPull()
  await alice.request('POST /repos/{owner}/{repo}/issues/{issue_number}/labels', {
    ...at,
    issue_number: number,
    labels: ['bug'],
  })
  expect(await readPullRequest(octokit, repo, number)).toMatchObject({
    state: 'open',
    head: { sha: head, branch: 'agent/1-a', repositoryId: repo.repositoryId },
    labels: ['bug'],
  })
  expect(await readPullRequest(octokit, repo, 999)).toBeUndefined()
})
