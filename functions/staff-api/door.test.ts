import { expect } from 'vitest'
import { operations } from '#api/operations.gen.ts'
import { addProject, addRun } from '#shared/run/testing/rows.ts'
import { remember } from './remember.ts'
import { staff, tokens, type Person } from './testing/staff.ts'
import { test } from './testing/test.ts'

const nowhere = '00000000-0000-4000-8000-000000000000'
const paths = Object.values(operations).map(({ method, path, role, scope, bodySchema }) => ({
  method,
  path: path.replaceAll(/:\w+/g, nowhere),
  role,
  scope,
  body: bodySchema === undefined ? undefined : '{}',
}))

test('nobody gets in without a token that holds for us, whatever is asked', async ({ db }) => {
  const { call } = await staff(db)
  for (const { method, path } of paths) {
    expect(await call(method, path, { headers: { authorization: '' } })).toMatchObject({ status: 401 })
    expect(await call(method, path, { as: 'stranger' })).toMatchObject({ status: 401, code: 'unauthorized' })
    // The same person, but the token is for the API server.
    expect(await call(method, path, { as: 'elsewhere' })).toMatchObject({ status: 401 })
  }
})

test('an API server that did not look at the audience says nothing about the token', async ({ db }) => {
  const { call, reviews } = await staff(db)
  const status = { authenticated: true, user: { username: 'root', groups: ['platform'] } }
  reviews.answer({ status: 201, body: JSON.stringify({ status }) })
  expect(await call('GET', '/v1/whoami')).toMatchObject({ status: 401 })
})

test('while the cluster cannot be asked the door stays shut, and opens when it can', async ({ db }) => {
  const { call, reviews } = await staff(db)
  for (const [status, body] of [
    [500, ''],
    [403, '{}'],
    [201, 'no json'],
    [201, '{"status":{"authenticated":"yes"}}'],
  ] as const) {
    reviews.answer({ status, body })
    const answer = await call('GET', '/v1/whoami')
    expect(answer).toMatchObject({ status: 503, code: 'retry_later' })
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
  }
  reviews.answer(undefined)
  expect(await call('GET', '/v1/whoami')).toMatchObject({ status: 200 })
  await reviews.close()
  expect(await call('GET', '/v1/whoami', { as: 'olga' })).toMatchObject({ status: 503 })
})

test('the cluster is asked once in ten seconds about a token, by its digest, and again after a failure', async () => {
  const asked: string[] = []
  let now = 0
  const ask = remember(
    (token) => {
      asked.push(token)
      return token === 'bad' ? Promise.reject(new Error('away')) : Promise.resolve(token)
    },
    () => now,
  )
  await Promise.all([ask('a'), ask('a')])
  now = 9_999
  expect(await ask('a')).toBe('a')
  expect(asked).toEqual(['a'])
  now = 10_000
  await ask('a')
  expect(asked).toEqual(['a', 'a'])
  await expect(ask('bad')).rejects.toThrow('away')
  await expect(ask('bad')).rejects.toThrow('away')
  expect(asked).toHaveLength(4)
})

test('who has no role is told of nothing but themselves', async ({ db }) => {
  const { call } = await staff(db)
  for (const { method, path, role, body } of paths) {
    const { status } = await call(method, path, { as: 'nobody', body })
    expect({ path, status }).toEqual({ path, status: role === 'anybody' ? 200 : expect.toBeOneOf([400, 403, 404]) })
  }
})

test('a role on one project opens that one and no other, and nothing above it', async ({ db }) => {
  const { call, grant } = await staff(db)
  const [mine, other] = [await addProject(db), await addProject(db)]
  const [run, theirs] = [await addRun(db, mine), await addRun(db, other)]
  await grant('vera', 'viewer', mine.id)
  const as: Person = 'vera'
  expect(await call('GET', `/v1/runs/${run.id}`, { as })).toMatchObject({ status: 200 })
  expect(await call('GET', `/v1/runs/${theirs.id}`, { as })).toMatchObject({ status: 404, code: 'not_found' })
  expect(await call('POST', `/v1/runs/${run.id}/cancel`, { as })).toMatchObject({ status: 403, code: 'forbidden' })
  expect(await call('POST', `/v1/runs/${theirs.id}/cancel`, { as })).toMatchObject({ status: 404 })
  expect(await call('GET', '/v1/checks', { as })).toMatchObject({ status: 403 })
  const { json } = await call('GET', '/v1/runs', { as })
  expect((json['runs'] as { id: string }[]).map(({ id }) => id)).toEqual([run.id])
  const { json: projects } = await call('GET', '/v1/projects', { as })
  expect((projects['projects'] as { id: string }[]).map(({ id }) => id)).toEqual([mine.id])
})

test('X1 what is no id, cursor, name or filter is a clear no, and never a fault', async ({ db }) => {
  const { call, lines } = await staff(db)
  const run = await addRun(db, await addProject(db))
  const cursor = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const asked = [
    ['GET', '/v1/runs/1', 404],
    ['GET', "/v1/runs/'%3Bdrop%20table%20runs--", 404],
    ['GET', '/v1/runs/%00', 404],
    ['GET', `/v1/runs/${nowhere}`, 404],
    ['GET', '/v1/runs?limit=0', 400],
    ['GET', '/v1/runs?limit=1e9', 400],
    ['GET', '/v1/runs?limit=5&limit=6', 400],
    ['GET', '/v1/runs?stage=%27or%201', 400],
    ['GET', '/v1/runs?stat=failed', 400],
    ['GET', '/v1/runs?__proto__=x', 400],
    ['GET', '/v1/runs?cursor=%F0%9F%92%A5', 400],
    ['GET', `/v1/runs?cursor=${cursor(['x', 'y'])}`, 400],
    ['GET', `/v1/runs?cursor=${cursor(['9999-99-99T00:00:00Z', nowhere])}`, 400],
    ['GET', `/v1/runs?cursor=${cursor({ toString: 1 })}`, 400],
    ['GET', `/v1/runs/${run.id}/logs?cursor=${cursor([1e300, 1])}`, 400],
    ['GET', `/v1/events?cursor=${cursor(['1'])}`, 400],
    ['GET', `/v1/dead-letters?consumer=nobody`, 400],
    ['GET', `/v1/projects/${nowhere}/ping?since=yesterday`, 400],
    ['GET', '/v1/ledger/verification?after=1', 400],
    ['GET', `/v1/ledger/verification?after=999:${'0'.repeat(64)}`, 409],
    ['PUT', '/v1/runs', 405],
    ['GET', '/v2/runs', 404],
  ] as const
  for (const [method, path, status] of asked) {
    const answer = await call(method, path)
    expect({ path, status: answer.status }).toEqual({ path, status })
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect(Buffer.byteLength(answer.text)).toBeLessThanOrEqual(512)
  }
  const bodies = [
    ['/v1/grants', 'no json', 400],
    ['/v1/grants', '[]', 400],
    ['/v1/grants', { kind: 'user', name: 'a b', role: 'admin' }, 400],
    ['/v1/grants', { kind: 'user', name: 'a', role: 'owner' }, 400],
    ['/v1/grants', { kind: 'user', name: 'a', role: 'admin', more: 1 }, 400],
    ['/v1/projects', { repository: '../../etc' }, 400],
    ['/v1/projects', { repository: 'a/b', maxActive: 0 }, 400],
    ['/v1/dead-letters/redrive', { deliveries: [] }, 400],
    ['/v1/dead-letters/redrive', 'x'.repeat(65 * 1024), 413],
    [`/v1/runs/${run.id}/cancel`, { reason: '' }, 400],
    [`/v1/runs/${run.id}/cancel`, { reason: 'x'.repeat(301) }, 400],
  ] as const
  for (const [path, body, status] of bodies)
    expect({ path, body, status: (await call('POST', path, { body })).status }).toEqual({ path, body, status })
  const text = await call('POST', '/v1/grants', { body: '{}', headers: { 'content-type': 'text/plain' } })
  expect(text).toMatchObject({ status: 415, code: 'not_json' })
  expect(lines.filter((line) => line.includes('"level":50'))).toEqual([])
})

test('X12 no token is in a log line or an answer, whatever becomes of it', async ({ db }) => {
  const { call, lines, reviews } = await staff(db)
  const answers = []
  for (const as of Object.keys(tokens) as Person[])
    for (const [method, path] of [
      ['GET', '/v1/whoami'],
      ['GET', '/v1/checks'],
      ['POST', `/v1/runs/${nowhere}/cancel`],
      ['GET', '/v1/nothing'],
    ] as const)
      answers.push((await call(method, path, { as })).text)
  reviews.answer({ status: 500, body: JSON.stringify({ message: `bad token ${tokens.stranger}` }) })
  answers.push((await call('GET', '/v1/whoami', { headers: { authorization: `Bearer ${tokens.stranger}x` } })).text)
  expect([...answers, ...lines].filter((text) => text.includes('canary-'))).toEqual([])
})
