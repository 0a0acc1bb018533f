import { expect, test } from 'vitest'

import type { Json } from './reply.ts'
import { at, forgeFor, idle, refused, sink } from './testing.ts'

type Forge = Awaited<ReturnType<typeof forgeFor>>

async function withIssue(labels: string[] = []) {
  const forge = await forgeFor()
  const hooks = await sink()
  const alice = forge.as('alice')
  await alice.request('POST /repos/{owner}/{repo}/hooks', {
    ...at,
    config: { url: hooks.url, content_type: 'json' },
    events: ['issues', 'issue_comment'],
  })
  await alice.request('POST /repos/{owner}/{repo}/issues', { ...at, title: 'A bug', body: 'Here.', labels })
  return { forge, hooks, alice, issue: { ...at, issue_number: 1 } }
}
const events = async (forge: Forge) =>
  (
    await forge
      .as('alice')
      .request('GET /repos/{owner}/{repo}/issues/{issue_number}/events', { ...at, issue_number: 1 })
  ).data
const LABELS = '/repos/{owner}/{repo}/issues/{issue_number}/labels'

test('labels given at creation are labeled events of their own', async () => {
  const { forge, hooks } = await withIssue(['run:dev', 'bug'])
  await idle(forge)
  expect(hooks.names().toSorted()).toEqual(['issues.labeled', 'issues.labeled', 'issues.opened', 'ping'])
  expect((await events(forge)).map((event) => (event as { label: Json }).label)).toEqual([
    { name: 'run:dev', color: 'ededed' },
    { name: 'bug', color: 'd73a4a' },
  ])
})

test('a label that is there already makes no event, a replaced set makes the difference', async () => {
  const { forge, hooks, alice, issue } = await withIssue(['run:dev'])
  await alice.request(`POST ${LABELS}`, { ...issue, labels: ['RUN:DEV'] })
  await alice.request(`PUT ${LABELS}`, { ...issue, labels: ['bug', 'new'] })
  await forge.as('bob').request(`DELETE ${LABELS}/{name}`, { ...issue, name: 'bug' })
  await alice.request(`DELETE ${LABELS}`, issue)
  const list = (await events(forge)) as { id: number; event: string; actor: Json; label: Json; created_at: string }[]
  expect(list.map(({ event, label, actor }) => `${event} ${String(label['name'])} ${String(actor['login'])}`)).toEqual([
    'labeled run:dev alice',
    'unlabeled run:dev alice',
    'labeled bug alice',
    'labeled new alice',
    'unlabeled bug bob',
    'unlabeled new alice',
  ])
  expect(list[0]).toMatchObject({
    id: expect.any(Number),
    actor: { id: 1001, type: 'User' },
    created_at: expect.stringMatching(/:\d\dZ$/),
  })
  expect(list.map(({ id }) => id)).toEqual(
    [...new Set(list.map(({ id }) => id))].toSorted((left, right) => left - right),
  )
  await hooks.next('issues.unlabeled')
  expect((await forge.ledger('label.added')).map(({ label, number }) => [label, number])).toEqual([
    ['run:dev', 1],
    ['bug', 1],
    ['new', 1],
  ])
  expect(await forge.ledger('label.removed')).toHaveLength(3)
})

test('label events page with a Link header', async () => {
  const { alice, issue } = await withIssue(['a', 'b', 'c'])
  const { data, headers } = await alice.request('GET /repos/{owner}/{repo}/issues/{issue_number}/events', {
    ...issue,
    per_page: 2,
  })
  expect(data).toHaveLength(2)
  expect(headers.link).toMatch(/page=2>; rel="next"/)
})

test('only who may triage labels; others open an issue without the labels they ask for', async () => {
  const { forge, issue } = await withIssue()
  const eve = forge.as('eve')
  expect(await refused(eve.request(`POST ${LABELS}`, { ...issue, labels: ['bug'] }))).toMatchObject({ status: 403 })
  const { data } = await eve.request('POST /repos/{owner}/{repo}/issues', { ...at, title: 'Mine', labels: ['bug'] })
  expect(data.labels).toEqual([])
})

test('labels in webhooks have all of their fields', async () => {
  const { hooks, alice, issue } = await withIssue()
  await alice.request(`POST ${LABELS}`, { ...issue, labels: ['bug'] })
  const { body } = await hooks.next('issues.labeled')
  expect(body).toMatchObject({
    label: {
      id: expect.any(Number),
      node_id: expect.any(String),
      url: expect.any(String),
      name: 'bug',
      color: 'd73a4a',
      default: false,
      description: 'Something is broken',
    },
    issue: { labels: [{ name: 'bug' }] },
    sender: { login: 'alice', id: 1001, type: 'User' },
  })
})

test('an edit says what it replaced', async () => {
  const { hooks, alice, issue } = await withIssue()
  await alice.request('PATCH /repos/{owner}/{repo}/issues/{issue_number}', { ...issue, title: 'A bad bug' })
  expect((await hooks.next('issues.edited')).body['changes']).toEqual({ title: { from: 'A bug' } })
})

test('a comment through the App is by its bot, and edits and deletions are announced', async () => {
  const { forge, hooks, issue } = await withIssue()
  const { asBot } = await forge.app()
  const { data } = await asBot.request('POST /repos/{owner}/{repo}/issues/{issue_number}/comments', {
    ...issue,
    body: 'Working',
  })
  expect(data).toMatchObject({ user: { type: 'Bot', login: 'codex-k8s[bot]' }, performed_via_github_app: { id: 42 } })
  await asBot.request('PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}', {
    ...at,
    comment_id: data.id,
    body: 'Done',
  })
  const edited = await hooks.next('issue_comment.edited')
  expect(edited.body).toMatchObject({
    changes: { body: { from: 'Working' } },
    comment: { performed_via_github_app: { slug: 'codex-k8s' } },
    issue: { comments: 1 },
  })
  const comment = { ...at, comment_id: data.id }
  expect(
    await refused(forge.as('eve').request('DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}', comment)),
  ).toMatchObject({ status: 403 })
  await asBot.request('DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}', comment)
  await hooks.next('issue_comment.deleted')
  expect((await forge.ledger('comment.created'))[0]).toMatchObject({
    id: data.id,
    number: 1,
    actor: 'codex-k8s[bot]',
    firstLine: 'Working',
    repo: 'alice/calc',
  })
})

test('a comment longer than GitHub stores is refused', async () => {
  const { alice, issue } = await withIssue()
  const call = alice.request('POST /repos/{owner}/{repo}/issues/{issue_number}/comments', {
    ...issue,
    body: 'x'.repeat(65_537),
  })
  expect(await refused(call)).toMatchObject({ status: 422, message: 'Validation Failed' })
})
