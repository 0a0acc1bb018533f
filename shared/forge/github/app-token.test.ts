import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { RetryLater } from '#shared/errors.ts'
import { commitChangeSet } from './commit.ts'
import { readOnlyGitToken } from './git-credential.ts'
import { readRepository } from './repository.ts'
import { repo as nowhere, scripted } from './testing/scripted.ts'
import type { Answer } from './testing/scripted.ts'
import { simulator } from './testing/simulator.ts'

const { privateKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
})
const app = { kind: 'app' as const, appId: '42', privateKey }

/** A forge that mints `ghs_1`, `ghs_2`, ... valid for so many minutes, and answers everything else by `answer`. */
function minting(minutes: number, answer: (token: string) => Answer) {
  let minted = 0
  return scripted(({ path, headers }) => {
    if (!path.endsWith('/access_tokens')) return answer(String(headers['authorization']).replace(/^bearer /, ''))
    const expires_at = new Date(Date.now() + minutes * 60_000).toISOString()
    return { status: 201, body: { token: `ghs_${++minted}`, expires_at, permissions: {} } }
  }, app)
}

test('a token is for one repository, and is kept', async () => {
  const { github, seen } = await minting(60, () => ({ body: { id: 42, full_name: 'acme/shop' } }))
  for (let time = 0; time < 3; time++) await readRepository(github.for(nowhere), nowhere)
  await readRepository(github.for({ ...nowhere, repositoryId: '43' }), { ...nowhere, repositoryId: '43' })
  const mints = seen.filter(({ method }) => method === 'POST')
  expect(mints.map(({ path, body }) => [path, body])).toEqual([
    ['/app/installations/7/access_tokens', { repository_ids: [42] }],
    ['/app/installations/7/access_tokens', { repository_ids: [43] }],
  ])
})

test('many at once share one token, and never with another instance', async () => {
  const answer = { body: { id: 42, full_name: 'acme/shop' } }
  const servers = await Promise.all([minting(60, () => answer), minting(60, () => answer)])
  const reads = servers.flatMap(({ octokit }) => [1, 2, 3].map(() => readRepository(octokit, nowhere)))
  await Promise.all(reads)
  expect(servers.map(({ seen }) => seen.filter(({ method }) => method === 'POST').length)).toEqual([1, 1])
})

test('a token that is refused is replaced once', async () => {
  const revoked = await minting(60, (token) =>
    token === 'ghs_1' ? { status: 401 } : { body: { id: 42, full_name: 'acme/shop' } },
  )
  expect(await readRepository(revoked.octokit, nowhere)).toMatchObject({ id: '42' })
  expect(revoked.seen).toHaveLength(4)
  const suspended = await minting(60, () => ({ status: 401 }))
  await expect(readRepository(suspended.octokit, nowhere)).rejects.toBeInstanceOf(RetryLater)
  expect(suspended.seen).toHaveLength(4)
})

test('a kept token with less than ten minutes left is replaced', async () => {
  const { github, seen } = await minting(9, () => ({ body: {} }))
  expect(await readOnlyGitToken(github, nowhere)).toBe('ghs_1')
  expect(await readOnlyGitToken(github, nowhere)).toBe('ghs_2')
  expect(seen.at(-1)?.body).toEqual({ repository_ids: [42], permissions: { contents: 'read' } })
})

test('an App that may not, or not any more, makes the run wait', async () => {
  for (const status of [403, 404, 422, 500]) {
    const { octokit, seen } = await scripted(
      () => ({ status, body: { message: 'This installation has been suspended' } }),
      app,
    )
    await expect(readRepository(octokit, nowhere)).rejects.toBeInstanceOf(RetryLater)
    expect(new Set(seen.map(({ path }) => path))).toEqual(new Set(['/app/installations/7/access_tokens']))
  }
})

test('a key that is none makes the run wait and does not show', async () => {
  const { octokit } = await scripted(() => ({}), {
    ...app,
    privateKey: '-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----',
  })
  const error = await readRepository(octokit, nowhere).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(RetryLater)
  expect(String(error)).not.toContain('c2VjcmV0')
})

test('a token that expires in the middle is replaced without a word', async () => {
  const { octokit, repo, forge } = await simulator()
  await readRepository(octokit, repo)
  await forge.control('POST', '/tokens/expire', {})
  expect(await readRepository(octokit, repo)).toMatchObject({ id: repo.repositoryId })
})

test('the token for git reads and does nothing else', async () => {
  const { github, machine, repo, forge, main } = await simulator()
  const password = await readOnlyGitToken(github, repo)
  const basic = Buffer.from(`x-access-token:${password}`).toString('base64')
  const refs = await fetch(`${forge.url}/alice/calc.git/info/refs?service=git-upload-pack`, {
    headers: { authorization: `Basic ${basic}` },
  })
  expect(refs.status).toBe(200)
  const files = [{ path: 'README.md', delete: true as const }]
  const change = { parent: main, branch: 'agent/1-a', message: 'x', files, expectedHead: null }
  const octokit = github.for(repo, { contents: 'read' })
  await expect(commitChangeSet(octokit, repo, change)).rejects.toBeInstanceOf(RetryLater)
  expect(await readOnlyGitToken(machine, repo)).toBe('token-bob')
})

test('an App finds its installation where the event names none', async () => {
  const { github, repo, requests } = await simulator()
  const unknown = { ...repo, installationId: null }
  for (let time = 0; time < 2; time++) {
    expect(await readRepository(github.for(unknown), unknown)).toMatchObject({ id: repo.repositoryId })
  }
  expect((await requests()).filter((line) => line.endsWith('/installation'))).toHaveLength(1)
})

test.for([600, -600])(
  'F16: a clock that is %i seconds behind the forge gets its token all the same',
  async (seconds) => {
    const forgeNow = () => Date.now() + seconds * 1_000
    const { octokit, seen } = await scripted(({ path, headers }) => {
      const date = new Date(forgeNow()).toUTCString()
      if (!path.endsWith('/access_tokens'))
        return { headers: { date }, body: { id: 42, full_name: 'acme/shop', default_branch: 'main', private: false } }
      const [, claims = ''] = String(headers['authorization']).split('.')
      const { iat, exp } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { iat: number; exp: number }
      const now = forgeNow() / 1_000
      // GitHub's own limits, with the minute it leaves for clocks.
      if (iat > now + 60 || exp <= now || exp > now + 660) return { status: 401, headers: { date }, body: {} }
      return {
        status: 201,
        headers: { date },
        body: { token: 'ghs_1', expires_at: new Date(forgeNow() + 3_600_000).toISOString(), permissions: {} },
      }
    }, app)
    for (let time = 0; time < 2; time++) expect(await readRepository(octokit, nowhere)).toMatchObject({ id: '42' })
    // Refused once, and from then on the forge's time is known.
    expect(seen.map(({ path }) => path.split('/').at(-1))).toEqual(['access_tokens', 'access_tokens', '42', '42'])
  },
)
