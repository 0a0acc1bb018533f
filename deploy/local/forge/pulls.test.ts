import { expect, test } from 'vitest'

import type { Json } from './reply.ts'
import { at, forgeFor, refused, sink, until } from './testing.ts'

const PULLS = '/repos/{owner}/{repo}/pulls'
const GIT = '/repos/{owner}/{repo}/git'

async function withPull() {
  const forge = await forgeFor()
  const hooks = await sink()
  const [alice, { asBot }] = [forge.as('alice'), await forge.app()]
  await alice.request('POST /repos/{owner}/{repo}/hooks', {
    ...at,
    config: { url: hooks.url, content_type: 'json' },
    events: ['pull_request', 'pull_request_review'],
  })
  const { data: main } = await asBot.request(`GET ${GIT}/ref/{ref}`, { ...at, ref: 'heads/main' })
  const base = main.object.sha
  const commit = async (path: string, parent: string) => {
    const entry = { path, mode: '100644', type: 'blob', content: `${path}\n` } as const
    const { data: tree } = await asBot.request(`POST ${GIT}/trees`, { ...at, base_tree: parent, tree: [entry] })
    return (
      await asBot.request(`POST ${GIT}/commits`, { ...at, message: `Add ${path}`, tree: tree.sha, parents: [parent] })
    ).data.sha
  }
  const head = await commit('new.txt', base)
  await asBot.request(`POST ${GIT}/refs`, { ...at, ref: 'refs/heads/agent/1', sha: head })
  const { data: pull } = await asBot.request(`POST ${PULLS}`, { ...at, title: 'Fix', head: 'agent/1', base: 'main' })
  return { forge, hooks, alice, asBot, pull, commit, head, base }
}

test('a pull request knows its size, its files and its commits', async () => {
  const { alice, pull, head } = await withPull()
  expect(pull).toMatchObject({
    commits: 1,
    additions: 1,
    deletions: 0,
    changed_files: 1,
    head: { sha: head },
    user: { type: 'Bot' },
  })
  const number = { ...at, pull_number: pull.number }
  const { data: files } = await alice.request(`GET ${PULLS}/{pull_number}/files`, number)
  expect(files).toMatchObject([
    { filename: 'new.txt', status: 'added', additions: 1, patch: expect.stringContaining('+new.txt') },
  ])
  const { data: commits } = await alice.request(`GET ${PULLS}/{pull_number}/commits`, number)
  expect(commits.map(({ sha }) => sha)).toEqual([head])
})

test('a second open pull request from the same branch is refused as GitHub does, until the first is closed', async () => {
  const { asBot, pull } = await withPull()
  const again = () => asBot.request(`POST ${PULLS}`, { ...at, title: 'Fix again', head: 'alice:agent/1', base: 'main' })
  expect(await refused(again())).toMatchObject({
    status: 422,
    message: 'Validation Failed',
    errors: [{ resource: 'PullRequest', code: 'custom', message: 'A pull request already exists for alice:agent/1.' }],
  })
  const list = async (query: Json) =>
    (await asBot.request(`GET ${PULLS}`, { ...at, ...query })).data.map(({ number }) => number)
  expect(await list({ head: 'alice:agent/1', state: 'open' })).toEqual([pull.number])
  expect(await list({ head: 'alice:other', state: 'all' })).toEqual([])
  await asBot.request(`PATCH ${PULLS}/{pull_number}`, { ...at, pull_number: pull.number, state: 'closed' })
  expect((await again()).status).toBe(201)
  expect(
    await refused(asBot.request(`PATCH ${PULLS}/{pull_number}`, { ...at, pull_number: pull.number, state: 'open' })),
  ).toMatchObject({ status: 422 })
})

test('a pull request needs branches that exist and differ', async () => {
  const { asBot, base } = await withPull()
  const attempt = (head: string) => refused(asBot.request(`POST ${PULLS}`, { ...at, title: 'Fix', head, base: 'main' }))
  expect(await attempt('nowhere')).toMatchObject({
    status: 422,
    errors: [{ resource: 'PullRequest', field: 'head', code: 'invalid' }],
  })
  await asBot.request(`POST ${GIT}/refs`, { ...at, ref: 'refs/heads/same', sha: base })
  expect(await attempt('same')).toMatchObject({
    status: 422,
    errors: [{ message: 'No commits between main and same' }],
  })
})

test('a push to its branch moves an open pull request', async () => {
  const { asBot, hooks, pull, commit, head } = await withPull()
  const next = await commit('more.txt', head)
  await asBot.request(`PATCH ${GIT}/refs/{ref}`, { ...at, ref: 'heads/agent/1', sha: next })
  const { body } = await hooks.next('pull_request.synchronize')
  expect(body).toMatchObject({
    before: head,
    after: next,
    pull_request: { head: { sha: next }, changed_files: 2, commits: 2 },
  })
  const { data } = await asBot.request(`GET ${PULLS}/{pull_number}`, { ...at, pull_number: pull.number })
  expect(data).toMatchObject({ head: { sha: next }, changed_files: 2 })
})

test('a label on a pull request is an event of the pull request', async () => {
  const { forge, alice, hooks, pull } = await withPull()
  await alice.request('POST /repos/{owner}/{repo}/issues/{issue_number}/labels', {
    ...at,
    issue_number: pull.number,
    labels: ['run:dev'],
  })
  const { body } = await hooks.next('pull_request.labeled')
  expect(body).toMatchObject({
    number: pull.number,
    label: { name: 'run:dev' },
    pull_request: { id: pull.id, labels: [{ name: 'run:dev' }] },
  })
  expect(body).not.toHaveProperty('issue')
  const { data } = await alice.request('GET /repos/{owner}/{repo}/issues/{issue_number}/timeline', {
    ...at,
    issue_number: pull.number,
  })
  expect(data).toMatchObject([{ event: 'labeled', id: expect.any(Number), label: { name: 'run:dev' } }])
  expect(await forge.ledger('label.added')).toHaveLength(1)
})

test('a review is announced in lower case, and nobody reviews their own work', async () => {
  const { alice, asBot, hooks, pull } = await withPull()
  const review = { ...at, pull_number: pull.number, event: 'REQUEST_CHANGES', body: 'No.' } as const
  const { data } = await alice.request(`POST ${PULLS}/{pull_number}/reviews`, review)
  expect(data.state).toBe('CHANGES_REQUESTED')
  expect((await hooks.next('pull_request_review.submitted')).body).toMatchObject({
    review: { id: data.id, state: 'changes_requested', body: 'No.' },
    pull_request: { number: pull.number },
    sender: { login: 'alice' },
  })
  expect(
    await refused(asBot.request(`POST ${PULLS}/{pull_number}/reviews`, { ...review, event: 'APPROVE' })),
  ).toMatchObject({ status: 422 })
})

test('a review with comments on lines is listed with them, each under the part of the diff it speaks of', async () => {
  const { alice, asBot, hooks, pull, head } = await withPull()
  const here = { ...at, pull_number: pull.number }
  const comments = [{ path: 'new.txt', line: 1, body: 'Say more.' }]
  const review = { ...here, event: 'REQUEST_CHANGES', body: 'Not yet.', comments } as const
  const { data: made } = await alice.request(`POST ${PULLS}/{pull_number}/reviews`, review)
  expect((await hooks.next('pull_request_review.submitted')).body).toMatchObject({
    review: { id: made.id, commit_id: head, state: 'changes_requested' },
  })
  const { data: reviews } = await asBot.request(`GET ${PULLS}/{pull_number}/reviews`, here)
  expect(reviews).toMatchObject([
    { id: made.id, state: 'CHANGES_REQUESTED', body: 'Not yet.', commit_id: head, user: { login: 'alice' } },
  ])
  const { data: listed } = await asBot.request(`GET ${PULLS}/{pull_number}/comments`, here)
  expect(listed).toMatchObject([
    {
      pull_request_review_id: made.id,
      path: 'new.txt',
      line: 1,
      body: 'Say more.',
      diff_hunk: '@@ -0,0 +1,1 @@\n+new.txt',
    },
  ])
  for (const bad of [{ path: 'README.md' }, { line: 2 }, { body: ' ' }]) {
    const again = { ...review, comments: [{ path: 'new.txt', line: 1, body: 'x', ...bad }] }
    expect(await refused(alice.request(`POST ${PULLS}/{pull_number}/reviews`, again))).toMatchObject({ status: 422 })
  }
})

test('a pull request is closed with its branch', async () => {
  const { alice, asBot, hooks, pull } = await withPull()
  await asBot.request(`DELETE ${GIT}/refs/{ref}`, { ...at, ref: 'heads/agent/1' })
  expect((await hooks.next('pull_request.closed')).body).toMatchObject({ pull_request: { merged: false } })
  expect((await alice.request(`GET ${PULLS}/{pull_number}`, { ...at, pull_number: pull.number })).data.state).toBe(
    'closed',
  )
})

test('merging keeps what happened on the base, and refuses a conflict', async () => {
  const { alice, pull, asBot } = await withPull()
  const write = (path: string, text: string) =>
    alice.request('PUT /repos/{owner}/{repo}/contents/{path}', {
      ...at,
      path,
      message: 'On main',
      content: Buffer.from(text).toString('base64'),
    })
  await write('elsewhere.txt', 'main\n')
  const { data } = await alice.request(`PUT ${PULLS}/{pull_number}/merge`, { ...at, pull_number: pull.number })
  const { data: tree } = await asBot.request(`GET ${GIT}/trees/{tree_sha}`, { ...at, tree_sha: data.sha })
  expect(tree.tree.map(({ path }) => path)).toEqual(expect.arrayContaining(['elsewhere.txt', 'new.txt', 'README.md']))
  const entry = { path: 'new.txt', mode: '100644', type: 'blob', content: 'theirs\n' } as const
  const { data: other } = await asBot.request(`POST ${GIT}/trees`, { ...at, base_tree: pull.base.sha, tree: [entry] })
  const { data: commit } = await asBot.request(`POST ${GIT}/commits`, {
    ...at,
    message: 'Other',
    tree: other.sha,
    parents: [pull.base.sha],
  })
  await asBot.request(`POST ${GIT}/refs`, { ...at, ref: 'refs/heads/other', sha: commit.sha })
  const { data: second } = await asBot.request(`POST ${PULLS}`, { ...at, title: 'Other', head: 'other', base: 'main' })
  const merge = alice.request(`PUT ${PULLS}/{pull_number}/merge`, { ...at, pull_number: second.number })
  expect(await refused(merge)).toMatchObject({ status: 405, message: 'Pull Request is not mergeable' })
})

test('merging closes, moves the base and is in the ledger', async () => {
  const { forge, alice, hooks, pull, base } = await withPull()
  const { data } = await alice.request(`PUT ${PULLS}/{pull_number}/merge`, { ...at, pull_number: pull.number })
  expect(data.merged).toBe(true)
  expect((await hooks.next('pull_request.closed')).body).toMatchObject({ pull_request: { merged: true } })
  expect(await until(async () => (await forge.ledger('ref.updated')).at(-1))).toMatchObject({
    ref: 'refs/heads/main',
    before: base,
    sha: data.sha,
  })
  expect(
    await refused(forge.as('eve').request(`PUT ${PULLS}/{pull_number}/merge`, { ...at, pull_number: pull.number })),
  ).toMatchObject({ status: 403 })
})
