import { createRequire } from 'node:module'

import { expect, test } from 'vitest'

import { isObject } from './reply.ts'
import type { Json } from './reply.ts'
import { at, forgeFor, sink } from './testing.ts'

const examples = createRequire(import.meta.url)('@octokit/webhooks-examples') as { name: string; examples: Json[] }[]

const CONTRACT = [
  'ping',
  'issues.opened',
  'issues.labeled',
  'issues.unlabeled',
  'issues.edited',
  'issues.closed',
  'issue_comment.created',
  'issue_comment.edited',
  'pull_request.opened',
  'pull_request.labeled',
  'pull_request.synchronize',
  'pull_request.closed',
  'pull_request_review.submitted',
  'push',
]

// Where we differ on purpose. Those that end in null may be so on GitHub; no example happens to show it.
const EXCEPTIONS: readonly (readonly [path: RegExp, why: string])[] = [
  [/\.milestone: null/, 'the issue has none'],
  [/\.assignee: null/, 'the pull request has none'],
  [/\.language: null/, 'the forge detects no languages'],
  [/\.merge_commit_sha: null/, 'the forge makes no test merges'],
  [/\.installation: missing/, 'only deliveries to an App have it'],
]

const typeOf = (value: unknown): string => (value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value)

/** Every way in which a value lacks what all examples share. */
function differences(ours: unknown, theirs: readonly unknown[], path: string): string[] {
  const types = new Set(theirs.map(typeOf).filter((type) => type !== 'null'))
  if (types.size === 0 || (ours === null && theirs.includes(null))) return []
  if (!types.has(typeOf(ours))) return [`${path}: ${typeOf(ours)}, not ${[...types].join(' or ')}`]
  if (Array.isArray(ours)) {
    const items = theirs.filter((value) => Array.isArray(value)).flat()
    return items.length === 0 ? [] : ours.flatMap((item, index) => differences(item, items, `${path}[${index}]`))
  }
  if (!isObject(ours)) return []
  const objects = theirs.filter(isObject)
  const shared = Object.keys(objects[0] ?? {}).filter((key) => objects.every((one) => key in one))
  return shared.flatMap((key) => {
    const below = `${path}.${key}`
    return key in ours
      ? differences(
          ours[key],
          objects.map((one) => one[key]),
          below,
        )
      : [`${below}: missing`]
  })
}

test('webhooks have every field, of the same type, that all published examples share', async () => {
  const forge = await forgeFor()
  const hooks = await sink()
  const alice = forge.as('alice')
  const { asBot } = await forge.app()
  await alice.request('POST /repos/{owner}/{repo}/hooks', {
    ...at,
    config: { url: hooks.url, content_type: 'json' },
    events: ['*'],
  })
  await alice.request('POST /repos/{owner}/{repo}/issues', {
    ...at,
    title: 'Wrong sum',
    body: 'It is.',
    assignees: ['bob'],
  })
  await alice.request('POST /repos/{owner}/{repo}/issues/{issue_number}/labels', {
    ...at,
    issue_number: 1,
    labels: ['bug'],
  })
  await alice.request('DELETE /repos/{owner}/{repo}/issues/{issue_number}/labels/{name}', {
    ...at,
    issue_number: 1,
    name: 'bug',
  })
  await alice.request('PATCH /repos/{owner}/{repo}/issues/{issue_number}', {
    ...at,
    issue_number: 1,
    title: 'Wrong sums',
  })
  const { data: comment } = await asBot.request('POST /repos/{owner}/{repo}/issues/{issue_number}/comments', {
    ...at,
    issue_number: 1,
    body: 'Hm.',
  })
  await asBot.request('PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}', {
    ...at,
    comment_id: comment.id,
    body: 'Aha.',
  })
  const { data: main } = await asBot.request('GET /repos/{owner}/{repo}/git/ref/{ref}', { ...at, ref: 'heads/main' })
  await asBot.request('POST /repos/{owner}/{repo}/git/refs', { ...at, ref: 'refs/heads/fix', sha: main.object.sha })
  const write = (path: string) => ({
    ...at,
    path,
    message: path,
    branch: 'fix',
    content: Buffer.from(path).toString('base64'),
  })
  await asBot.request('PUT /repos/{owner}/{repo}/contents/{path}', write('one.txt'))
  await asBot.request('POST /repos/{owner}/{repo}/pulls', {
    ...at,
    title: 'Fix',
    body: 'Adds.',
    head: 'fix',
    base: 'main',
  })
  await alice.request('POST /repos/{owner}/{repo}/issues/{issue_number}/labels', {
    ...at,
    issue_number: 2,
    labels: ['bug'],
  })
  await asBot.request('PUT /repos/{owner}/{repo}/contents/{path}', write('two.txt'))
  await hooks.next('pull_request.synchronize')
  await alice.request('POST /repos/{owner}/{repo}/pulls/{pull_number}/reviews', {
    ...at,
    pull_number: 2,
    event: 'REQUEST_CHANGES',
    body: 'No.',
  })
  await alice.request('PATCH /repos/{owner}/{repo}/pulls/{pull_number}', { ...at, pull_number: 2, state: 'closed' })
  await alice.request('PATCH /repos/{owner}/{repo}/issues/{issue_number}', { ...at, issue_number: 1, state: 'closed' })

  const found: string[] = []
  for (const name of CONTRACT) {
    const [event, action] = name.split('.')
    const all = examples.find((entry) => entry.name === event)?.examples ?? []
    const exact = all.filter((example) => action === undefined || example['action'] === action)
    // Nobody published an `issues.closed`: it is held against what all events of issues share.
    const theirs = exact.length > 0 ? exact : all
    expect(theirs).not.toEqual([])
    found.push(...differences((await hooks.next(name)).body, theirs, name))
  }
  expect(found.filter((one) => !EXCEPTIONS.some(([path]) => path.test(one)))).toEqual([])
})
