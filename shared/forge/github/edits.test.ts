import { expect, test } from 'vitest'
import { PermanentError, RetryLater } from '#shared/errors.ts'
import pino from 'pino'
import { createGitHub } from './client.ts'
import { editedSince } from './edits.ts'
import { repo as nowhere, scripted } from './testing/scripted.ts'
import { simulator } from './testing/simulator.ts'

const before = new Date(Date.now() - 3_600_000)
const later = new Date(Date.now() + 3_600_000)

test('a body or a title that was changed since is found, of an issue and of nothing else', async () => {
  const { octokit, repo, alice, at, issue, github } = await simulator()
  const [body, title, neither] = [await issue(), await issue(), await issue()]
  const patch = (number: number, change: object) =>
    alice.request('PATCH /repos/{owner}/{repo}/issues/{issue_number}', { ...at, issue_number: number, ...change })
  await patch(body.number, { body: 'Something else.' })
  await patch(title.number, { title: 'Another title' })
  await patch(neither.number, { title: neither.title, state: 'closed' })
  for (const client of [octokit, github.for({ ...repo, installationId: null })]) {
    const edited = (number: number, since: Date) => editedSince(client, repo, number, since)
    expect([await edited(body.number, before), await edited(body.number, later)]).toEqual([true, false])
    expect([await edited(title.number, before), await edited(title.number, later)]).toEqual([true, false])
    expect([await edited(neither.number, before), await edited(neither.number, later)]).toEqual([false, false])
    expect(await edited(99_999, later)).toBe(true)
  }
})

test('an edit within the second of the label counts as later', async () => {
  const at = new Date('2026-11-22T10:00:00Z')
  const answers = [
    { lastEditedAt: '2026-11-22T10:00:00Z', timelineItems: { nodes: [] } },
    { lastEditedAt: '2026-11-22T09:59:59Z', timelineItems: { nodes: [] } },
    { lastEditedAt: null, timelineItems: { nodes: [{}] } },
    { lastEditedAt: null, timelineItems: { nodes: [] } },
  ]
  const { octokit, seen } = await scripted((_, count) => ({
    body: { data: { repository: { issueOrPullRequest: answers[count - 1] } } },
  }))
  const edited = []
  for (let count = 0; count < answers.length; count++) edited.push(await editedSince(octokit, nowhere, 7, at))
  expect(edited).toEqual([true, false, true, false])
  expect(seen[0]?.body['variables']).toEqual({
    owner: 'acme',
    name: 'shop',
    number: 7,
    since: '2026-11-22T10:00:00.000Z',
  })
})

test('no answer is not a no', async () => {
  const answers = [
    { status: 200, body: { data: null, errors: [{ type: 'FORBIDDEN', message: 'Resource not accessible' }] } },
    { status: 200, body: { errors: [{ type: 'RATE_LIMITED', message: 'API rate limit exceeded' }] } },
    { status: 401 },
    { status: 502 },
  ]
  for (const answer of answers) {
    const { octokit } = await scripted(() => answer)
    await expect(editedSince(octokit, nowhere, 7, before)).rejects.toBeInstanceOf(RetryLater)
  }
  const { octokit } = await scripted(() => ({ body: {} }))
  await expect(editedSince(octokit, { ...nowhere, fullName: '../x' }, 7, before)).rejects.toBeInstanceOf(PermanentError)
})

test('an enterprise instance has it beside its REST root', async () => {
  const { url, seen } = await scripted(() => ({
    body: { data: { repository: { issueOrPullRequest: { lastEditedAt: null, timelineItems: { nodes: [] } } } } },
  }))
  const log = pino({ level: 'silent' })
  const github = createGitHub({ instance: `${url}/api/v3`, auth: { kind: 'token', token: 'x' }, log })
  expect(await editedSince(github.for(nowhere), nowhere, 7, before)).toBe(false)
  expect(seen.map(({ path }) => path)).toEqual(['/api/graphql'])
})
