import { expect, test } from 'vitest'
import { PermanentError, RetryLater } from '#shared/errors.ts'
import { Refused } from './failure.ts'
import { SECRET, everythingIn, repo, scripted } from './testing/scripted.ts'
import type { Answer } from './testing/scripted.ts'

const get = 'GET /repos/{owner}/{repo}'
const shop = { owner: 'acme', repo: 'shop' }

async function failureOf(promise: Promise<unknown>): Promise<Error> {
  const result = await promise.then(
    () => new Error('nothing was thrown'),
    (error: unknown) => error,
  )
  return result as Error
}

test('a long wait is told to the caller instead of being slept', async () => {
  const soon = Math.floor(Date.now() / 1000) + 600
  const cases: { answer: Answer; atLeast: number; atMost: number }[] = [
    { answer: { status: 429, headers: { 'retry-after': '120' } }, atLeast: 120, atMost: 120 },
    {
      answer: {
        status: 403,
        headers: { 'retry-after': '90' },
        body: { message: 'You have exceeded a secondary rate limit' },
      },
      atLeast: 90,
      atMost: 90,
    },
    {
      answer: { status: 403, headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(soon) } },
      atLeast: 595,
      atMost: 605,
    },
    { answer: { status: 403, body: { message: 'You have exceeded a secondary rate limit' } }, atLeast: 60, atMost: 60 },
    { answer: { status: 429 }, atLeast: 60, atMost: 60 },
  ]
  for (const { answer, atLeast, atMost } of cases) {
    const { octokit, seen } = await scripted(() => answer)
    const error = await failureOf(octokit.request(get, shop))
    expect(error).toBeInstanceOf(RetryLater)
    expect((error as RetryLater).seconds).toBeGreaterThanOrEqual(atLeast)
    expect((error as RetryLater).seconds).toBeLessThanOrEqual(atMost)
    expect(seen).toHaveLength(1)
  }
})

test('while the forge wants silence nothing more is sent', async () => {
  const { octokit, seen } = await scripted(() => ({ status: 429, headers: { 'retry-after': '120' } }))
  await failureOf(octokit.request(get, shop))
  const error = await failureOf(octokit.request(get, shop))
  expect(error).toBeInstanceOf(RetryLater)
  expect((error as RetryLater).seconds).toBeGreaterThan(110)
  expect(seen).toHaveLength(1)
})

test('a short wait is waited out, also for a comment: a refused request was not applied', async () => {
  const { octokit, seen } = await scripted((_, count) =>
    count === 1
      ? { status: 403, headers: { 'retry-after': '1' }, body: { message: 'secondary rate limit' } }
      : { status: 201, body: { id: 1 } },
  )
  const started = Date.now()
  const path = 'POST /repos/{owner}/{repo}/issues/{issue_number}/comments'
  await octokit.request(path, { ...shop, issue_number: 1, body: 'hello' })
  expect(seen).toHaveLength(2)
  expect(Date.now() - started).toBeGreaterThanOrEqual(990)
})

test('a failing forge is asked three times and then the caller comes back later', async () => {
  const answers = ['drop', { status: 500 }, { status: 503 }] satisfies Answer[]
  const servers = await Promise.all(answers.map((answer) => scripted(() => answer)))
  const errors = await Promise.all(servers.map(({ octokit }) => failureOf(octokit.request(get, shop))))
  expect(errors.every((error) => error instanceof RetryLater)).toBe(true)
  expect(servers.map(({ seen }) => seen.length)).toEqual([3, 3, 3])
})

test('a forge that recovers is not noticed', async () => {
  const answers: Answer[] = ['drop', { status: 502 }, { body: { id: 42 } }]
  const { octokit } = await scripted((_, count) => answers[count - 1] ?? 'drop')
  expect((await octokit.request(get, shop)).data.id).toBe(42)
})

test('what creates something is sent once', async () => {
  for (const answer of ['drop', { status: 500 }] satisfies Answer[]) {
    const { octokit, seen } = await scripted(() => answer)
    const request = octokit.request('POST /repos/{owner}/{repo}/pulls', { ...shop, head: 'a', base: 'b', title: 't' })
    expect(await failureOf(request)).toBeInstanceOf(RetryLater)
    expect(seen).toHaveLength(1)
  }
})

test("our own credentials being refused is nobody else's fault: it is tried again", async () => {
  for (const status of [401, 403]) {
    const { octokit, seen } = await scripted(() => ({ status, body: { message: 'Resource not accessible' } }))
    const error = await failureOf(octokit.request(get, shop))
    expect(error).toBeInstanceOf(RetryLater)
    expect(error.message).toContain(`${status} Resource not accessible`)
    expect(seen).toHaveLength(1)
  }
})

test('what the forge calls invalid is permanent and says why', async () => {
  const { octokit } = await scripted(() => ({
    status: 422,
    body: { message: 'Validation Failed', errors: [{ code: 'bad' }] },
  }))
  const error = await failureOf(octokit.request(get, shop))
  expect(error).toBeInstanceOf(Refused)
  expect(error).toBeInstanceOf(PermanentError)
  expect(error.message).toContain('"code":"bad"')
})

test('redirects are refused and no other origin is ever asked', async () => {
  const elsewhere = await scripted(() => ({ body: { id: 1 } }))
  const moved = await scripted(() => ({ status: 301, headers: { location: `${elsewhere.url}/repositories/1` } }))
  expect(await failureOf(moved.octokit.request(get, shop))).toBeInstanceOf(RetryLater)
  for (const url of [`GET ${elsewhere.url}/user`, 'GET //elsewhere.example/user']) {
    expect(await failureOf(moved.octokit.request(url))).toBeInstanceOf(PermanentError)
  }
  expect(await failureOf(moved.octokit.request('GET /user', { baseUrl: elsewhere.url }))).toBeInstanceOf(PermanentError)
  expect(elsewhere.seen).toHaveLength(0)
  expect(moved.seen).toHaveLength(1)
})

test('a body that breaks off is not an answer', async () => {
  const { octokit } = await scripted(() => ({ headers: { 'content-length': '400' }, body: { id: 42 } }))
  const github = octokit.request(get, { ...shop, request: { signal: AbortSignal.timeout(300) } })
  expect(await failureOf(github)).toBeInstanceOf(RetryLater)
})

test('neither errors nor the log hold the token, a header or a body that was sent', async () => {
  const body = 'what an issue says'
  const patch = 'PATCH /repos/{owner}/{repo}/issues/{issue_number}'
  const answers: Answer[] = ['drop', ...[401, 403, 404, 422, 429, 500].map((status) => ({ status }))]
  const shown = await Promise.all(
    answers.map(async (answer) => {
      const { octokit, logged } = await scripted(() => answer)
      const error = await failureOf(octokit.request(patch, { ...shop, issue_number: 1, body }))
      return everythingIn(error) + logged.join('')
    }),
  )
  expect(shown.join('')).toContain('RetryLater')
  for (const secret of [SECRET, 'authorization', body]) expect(shown.join('')).not.toContain(secret)
})

test('an instance with credentials or a query is not accepted', async () => {
  const { createGitHub } = await import('./client.ts')
  const { default: pino } = await import('pino')
  const log = pino({ level: 'silent' })
  for (const instance of [
    'https://user:secret@ghe.example/api/v3',
    'https://ghe.example/?a=1',
    'file:///etc',
    'ghe.example',
  ]) {
    expect(() => createGitHub({ instance, auth: { kind: 'token', token: 'x' }, log })).toThrow(/URL/)
  }
})

test('a path below the root of an enterprise instance is kept', async () => {
  const { url, seen, github } = await scripted(() => ({ body: { id: 1 } }))
  const { createGitHub } = await import('./client.ts')
  const { default: pino } = await import('pino')
  const enterprise = createGitHub({
    instance: `${url}/api/v3/`,
    auth: { kind: 'token', token: 'x' },
    log: pino({ level: 'silent' }),
  })
  expect(github.instance).toBe(url)
  await enterprise.for(repo).request(get, shop)
  expect(seen[0]?.path).toBe('/api/v3/repos/acme/shop')
})
