import { expect, test } from 'vitest'
import { RetryLater } from '#shared/errors.ts'
import { listAttempts, requestRedelivery } from './hook-deliveries.ts'
import { repo as nowhere, scripted } from './testing/scripted.ts'
import { simulator } from './testing/simulator.ts'
import { idle, sink } from '../../../deploy/local/forge/testing.ts'

async function hooked() {
  const world = await simulator()
  const hooks = await sink()
  const { data } = await world.alice.request('POST /repos/{owner}/{repo}/hooks', {
    ...world.at,
    config: { url: hooks.url, content_type: 'json' },
    events: ['issues'],
  })
  return { ...world, hooks, hook: { id: String(data.id), repository: world.repo } }
}

async function listed(answer: ReturnType<typeof listAttempts>) {
  const list = await answer
  if (typeof list === 'string') throw new Error(list)
  return list
}

test('a list is read from its newest attempt to its end, page by page', async () => {
  const { octokit, hook, forge, issue, hooks } = await hooked()
  for (let count = 0; count < 120; count++) await issue()
  await idle(forge)
  const first = await listed(listAttempts(octokit, hook, undefined))
  expect(first.attempts).toHaveLength(100)
  const rest = await listed(listAttempts(octokit, hook, first.next))
  // One more for the ping.
  expect(rest.attempts).toHaveLength(21)
  expect(rest.next).toBeUndefined()
  const all = [...first.attempts, ...rest.attempts]
  const arrived = hooks.received.map(({ headers }) => String(headers['x-github-delivery']))
  expect(all.map(({ deliveryId }) => deliveryId).toSorted()).toEqual(arrived.toSorted())
  expect(all.map(({ id }) => Number(id))).toEqual(all.map(({ id }) => Number(id)).toSorted((a, b) => b - a))
})

test('a redelivery comes under the same id, and the attempt that repeats it is listed, too', async () => {
  const { octokit, hook, forge, hooks } = await hooked()
  await idle(forge)
  const [ping] = (await listed(listAttempts(octokit, hook, undefined))).attempts
  expect(await requestRedelivery(octokit, hook, ping?.id ?? '')).toEqual({
    answer: 'asked',
    left: expect.closeTo(1, 1),
  })
  await idle(forge)
  expect(hooks.received.map(({ headers }) => headers['x-github-delivery'])).toEqual([
    ping?.deliveryId,
    ping?.deliveryId,
  ])
  const { attempts } = await listed(listAttempts(octokit, hook, undefined))
  expect(new Set(attempts.map(({ deliveryId }) => deliveryId)).size).toBe(1)
  expect(attempts).toHaveLength(2)
  expect(await requestRedelivery(octokit, hook, '1')).toEqual({ answer: 'gone', left: 1 })
})

test("the App's own hook is asked about as the App", async () => {
  const { github, forge, alice, at } = await simulator()
  const hooks = await sink()
  await github.self().request('PATCH /app/hook/config', { data: { url: hooks.url, content_type: 'json' } })
  await alice.request('POST /repos/{owner}/{repo}/issues', { ...at, title: 'x' })
  await idle(forge)
  const hook = { id: '1', repository: undefined }
  const { attempts } = await listed(listAttempts(github.self(), hook, undefined))
  expect(attempts.map(({ repositoryId }) => repositoryId)).toEqual([expect.stringMatching(/^\d+$/)])
  expect(await requestRedelivery(github.self(), hook, attempts[0]?.id ?? '')).toMatchObject({ answer: 'asked' })
})

test('a hook that is not there, or not for us, is gone; a forge that does not answer is asked later', async () => {
  const { octokit, machine, repo, hook, fault } = await hooked()
  expect(await listAttempts(octokit, { ...hook, id: '1' }, undefined)).toBe('gone')
  expect(await listAttempts(machine.for(repo), hook, undefined)).toBe('gone')
  expect(await listAttempts(octokit, hook, 'nonsense')).toBe('lost')
  await fault('GET', '/deliveries', 'drop-before', 3)
  await expect(listAttempts(octokit, hook, undefined)).rejects.toBeInstanceOf(RetryLater)
})

test('only the cursor of a link is used, and it goes back as a parameter', async () => {
  const { octokit, seen } = await scripted((_, count) => ({
    headers: count === 1 ? { link: '<https://evil.example/x?per_page=100&cursor=v1_%2Fa>; rel="next"' } : {},
    body: [],
  }))
  const hook = { id: '5', repository: nowhere }
  const { next } = await listed(listAttempts(octokit, hook, undefined))
  expect(next).toBe('v1_/a')
  await listAttempts(octokit, hook, next)
  expect(seen.map(({ path }) => path)).toEqual([
    '/repos/acme/shop/hooks/5/deliveries?per_page=100',
    '/repos/acme/shop/hooks/5/deliveries?per_page=100&cursor=v1_%2Fa',
  ])
})
