import { expect, test } from 'vitest'
import { RetryLater } from '#shared/errors.ts'
import { findLabelEvent } from './label-events.ts'
import { repo, scripted } from './testing/scripted.ts'
import { simulator } from './testing/simulator.ts'

const late = new Date('2100-01-01')

test("the event of the one who set the label is found, with the forge's own id", async () => {
  const { alice, bob, at, octokit, repo, issue } = await simulator()
  const { number } = await issue()
  const labels = '/repos/{owner}/{repo}/issues/{issue_number}/labels'
  await alice.request(`POST ${labels}`, { ...at, issue_number: number, labels: ['run:dev', 'bug'] })
  const wanted = { number, label: 'run:dev', actorId: '1001', notAfter: late }
  const first = await findLabelEvent(octokit, repo, wanted)
  expect(first).toMatchObject({ actorId: '1001', actorLogin: 'alice', removed: false })
  expect(first?.id).toMatch(/^\d+$/)
  expect(await findLabelEvent(octokit, repo, wanted)).toEqual(first)
  expect(await findLabelEvent(octokit, repo, { ...wanted, actorId: '1002' })).toBeUndefined()
  expect(await findLabelEvent(octokit, repo, { ...wanted, label: 'run:qa' })).toBeUndefined()
  expect(await findLabelEvent(octokit, repo, { ...wanted, notAfter: new Date('2020-01-01') })).toBeUndefined()
  expect(await findLabelEvent(octokit, repo, { ...wanted, number: 999 })).toBeUndefined()

  await bob.request(`DELETE ${labels}/{name}`, { ...at, issue_number: number, name: 'run:dev' })
  expect(await findLabelEvent(octokit, repo, wanted)).toEqual({ ...first, removed: true })
  await alice.request(`POST ${labels}`, { ...at, issue_number: number, labels: ['run:dev'] })
  const second = await findLabelEvent(octokit, repo, wanted)
  expect(second?.removed).toBe(false)
  expect(second?.id).not.toBe(first?.id)
})

/** A list of events as GitHub pages it. */
const history = (count: number, link: (page: number, last: number) => string) =>
  scripted(({ path }) => {
    const { searchParams } = new URL(path, 'http://x')
    const [page, size] = [Number(searchParams.get('page')), Number(searchParams.get('per_page'))]
    const last = Math.ceil(count / size)
    const body = Array.from({ length: count }, (_, index) => ({
      id: index + 1,
      event: 'labeled',
      actor: index === 3 ? null : { id: 1, login: 'a' },
      label: { name: index === 5 ? 'e\u0301tat' : `label-${index + 1}` },
      created_at: '2026-01-01T00:00:00Z',
    })).slice((page - 1) * size, page * size)
    return { body, headers: page < last ? { link: link(page, last) } : {} }
  })

test('long histories are read from their end', async () => {
  const { octokit, seen } = await history(
    450,
    (page, last) =>
      `<https://x/?per_page=100&page=${page + 1}>; rel="next", <https://x/?per_page=100&page=${last}>; rel="last"`,
  )
  const find = (label: string) => findLabelEvent(octokit, repo, { number: 1, label, actorId: '1', notAfter: late })
  expect((await find('label-449'))?.id).toBe('449')
  expect(seen.map(({ path }) => new URL(path, 'http://x').searchParams.get('page'))).toEqual(['1', '5'])
  expect((await find('label-2'))?.id).toBe('2')
  expect(await find('label-4')).toBeUndefined()
  expect((await find('\u00e9tat'))?.id).toBe('6')
})

test('no history is longer than thirty pages, and no link leads elsewhere', async () => {
  const { octokit, seen } = await history(4000, (_, last) => `<https://elsewhere.example/?page=${last}>; rel="last"`)
  const wanted = { number: 1, label: 'label-3', actorId: '1', notAfter: late }
  expect(await findLabelEvent(octokit, repo, wanted)).toBeUndefined()
  expect(seen).toHaveLength(30)
})

test('no answer is neither a yes nor a no', async () => {
  for (const status of [401, 403, 500]) {
    const { octokit } = await scripted(() => ({ status }))
    const wanted = { number: 1, label: 'run:dev', actorId: '1', notAfter: late }
    await expect(findLabelEvent(octokit, repo, wanted)).rejects.toBeInstanceOf(RetryLater)
  }
})
