import { Octokit } from '@octokit/core'
import { expect, test } from 'vitest'

import { at, forgeFor, refused } from './testing.ts'

const PERMISSION = 'GET /repos/{owner}/{repo}/collaborators/{username}/permission'

test.for([
  ['read', 'read', 'read'],
  ['triage', 'read', 'triage'],
  ['write', 'write', 'write'],
  ['maintain', 'write', 'maintain'],
  ['admin', 'admin', 'admin'],
] as const)('a collaborator with %s has permission %s and role %s', async ([given, permission, role_name]) => {
  const forge = await forgeFor()
  const alice = forge.as('alice')
  await alice.request('PUT /repos/{owner}/{repo}/collaborators/{username}', {
    ...at,
    username: 'eve',
    permission: given,
  })
  const { data } = await alice.request(PERMISSION, { ...at, username: 'eve' })
  expect(data).toMatchObject({ permission, role_name, user: { id: 1003, login: 'eve' } })
})

test('a stranger reads what is public, an unknown user does not exist', async () => {
  const forge = await forgeFor()
  const alice = forge.as('alice')
  await alice.request('DELETE /repos/{owner}/{repo}/collaborators/{username}', { ...at, username: 'bob' })
  expect((await alice.request(PERMISSION, { ...at, username: 'bob' })).data).toMatchObject({
    permission: 'read',
    role_name: 'read',
  })
  expect(await refused(alice.request(PERMISSION, { ...at, username: 'nobody' }))).toMatchObject({ status: 404 })
  expect(
    await refused(
      forge.as('bob').request('PUT /repos/{owner}/{repo}/collaborators/{username}', { ...at, username: 'bob' }),
    ),
  ).toMatchObject({ status: 403 })
})

test('an unknown token is refused, whatever it asks for', async () => {
  const forge = await forgeFor()
  const nobody = new Octokit({ baseUrl: forge.url, auth: 'token-nobody' })
  expect(await refused(nobody.request('GET /repos/{owner}/{repo}', at))).toMatchObject({
    status: 401,
    message: 'Bad credentials',
  })
})

test('an installation token acts as the bot, within its permissions, for an hour', async () => {
  const forge = await forgeFor()
  const { asApp, installationId } = await forge.app()
  const { data: app } = await asApp.request('GET /app')
  expect(app).toMatchObject({ id: 42, slug: 'codex-k8s' })
  const { data: installation } = await asApp.request('GET /repos/{owner}/{repo}/installation', at)
  expect(installation.id).toBe(installationId)
  const { data: grant } = await asApp.request('POST /app/installations/{installation_id}/access_tokens', {
    installation_id: installationId,
    permissions: { issues: 'write' },
    repositories: ['calc'],
  })
  const left = Date.parse(grant.expires_at) - Date.now()
  expect(left).toBeGreaterThan(3_500_000)
  expect(left).toBeLessThanOrEqual(3_600_000)
  const narrow = new Octokit({ baseUrl: forge.url, auth: grant.token })
  const { data: issue } = await narrow.request('POST /repos/{owner}/{repo}/issues', { ...at, title: 'By the bot' })
  expect(issue.user).toMatchObject({ login: 'codex-k8s[bot]', type: 'Bot' })
  const write = { ...at, path: 'x', message: 'x', content: 'eA==' }
  expect(await refused(narrow.request('PUT /repos/{owner}/{repo}/contents/{path}', write))).toMatchObject({
    status: 403,
    message: 'Resource not accessible by integration',
  })
  await forge.control('POST', '/tokens/expire', { token: grant.token })
  expect(await refused(narrow.request('GET /repos/{owner}/{repo}', at))).toMatchObject({ status: 401 })
})

test('a JWT that is expired, foreign or unsigned is refused', async () => {
  const forge = await forgeFor()
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const now = Math.floor(Date.now() / 1000)
  const forged = `${part({ alg: 'RS256' })}.${part({ iss: 42, iat: now, exp: now + 60 })}.AAAA`
  const response = await fetch(`${forge.url}/app`, { headers: { authorization: `Bearer ${forged}` } })
  expect([response.status, await response.json()]).toMatchObject([
    401,
    { message: 'A JSON web token could not be decoded' },
  ])
})

test('a repository made at run time is the App s once it is installed there', async () => {
  const forge = await forgeFor({ app: { app_id: 42, slug: 'codex-k8s', repositories: ['alice/calc'] } })
  const bob = forge.as('bob')
  await bob.request('POST /user/repos', { name: 'fresh' })
  const content = Buffer.from('hello\n').toString('base64')
  await bob.request('PUT /repos/{owner}/{repo}/contents/{path}', {
    owner: 'bob',
    repo: 'fresh',
    path: 'a.txt',
    message: 'First',
    content,
  })
  const { asApp } = await forge.app()
  const lookup = () => asApp.request('GET /repos/{owner}/{repo}/installation', { owner: 'bob', repo: 'fresh' })
  expect(await refused(lookup())).toMatchObject({ status: 404 })
  const made = (await forge.control('POST', '/apps/install', { repository: 'bob/fresh' })) as { id: number }
  expect((await lookup()).data.id).toBe(made.id)
})

test('requests are counted per token and stop at the limit', async () => {
  const forge = await forgeFor({ rate_limit: 3 })
  const [alice, bob] = [forge.as('alice'), forge.as('bob')]
  const { headers } = await alice.request('GET /repos/{owner}/{repo}', at)
  expect(headers).toMatchObject({
    'x-ratelimit-limit': '3',
    'x-ratelimit-remaining': '2',
    'x-ratelimit-resource': 'core',
  })
  await alice.request('GET /repos/{owner}/{repo}', at)
  await alice.request('GET /repos/{owner}/{repo}', at)
  expect(await refused(alice.request('GET /repos/{owner}/{repo}', at))).toMatchObject({ status: 403 })
  expect((await alice.request('GET /rate_limit')).data.rate).toMatchObject({ remaining: 0 })
  expect((await bob.request('GET /repos/{owner}/{repo}', at)).status).toBe(200)
})
