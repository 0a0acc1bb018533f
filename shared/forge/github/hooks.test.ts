import { expect, test } from 'vitest'
import { RetryLater } from '#shared/errors.ts'
import { findRepository } from './find-repository.ts'
import { ensureHook, HOOK_EVENTS, removeHook } from './hooks.ts'
import { simulator } from './testing/simulator.ts'
import { idle, sink } from '../../../deploy/local/forge/testing.ts'

const secret = 'a'.repeat(64)

test('a hook is made once, and the second time the one that is there is given our secret and events', async () => {
  const { octokit, alice, at, repo, forge } = await simulator()
  const { url: base, received } = await sink()
  const url = `${base}hooks/github/1`
  const first = await ensureHook(octokit, repo, { url, secret: 'another' })
  expect(first.did).toBe('created')
  await alice.request('PATCH /repos/{owner}/{repo}/hooks/{hook_id}', {
    ...at,
    hook_id: Number(first.id),
    events: ['push'],
    active: false,
  })
  expect(await ensureHook(octokit, repo, { url, secret })).toEqual({ id: first.id, did: 'adopted' })
  const { data } = await alice.request('GET /repos/{owner}/{repo}/hooks', at)
  expect(data).toMatchObject([{ active: true, events: [...HOOK_EVENTS], config: { url, content_type: 'json' } }])
  await alice.request('POST /repos/{owner}/{repo}/issues', { ...at, title: 'x' })
  await idle(forge)
  expect(received.at(-1)?.headers['x-hub-signature-256']).toMatch(/^sha256=/)
})

test('a hook moves with our address, and hooks of others stay as they are', async () => {
  const { octokit, alice, at, repo } = await simulator()
  const config = { url: 'https://ci.example/hooks/github/2', content_type: 'json' }
  await alice.request('POST /repos/{owner}/{repo}/hooks', { ...at, config, events: ['push'] })
  const { id } = await ensureHook(octokit, repo, { url: 'https://old.example/hooks/github/1', secret })
  expect(await ensureHook(octokit, repo, { url: 'https://new.example/hooks/github/1', secret })).toEqual({
    id,
    did: 'adopted',
  })
  const urls = async () =>
    (await alice.request('GET /repos/{owner}/{repo}/hooks', at)).data.map((hook) => hook.config.url)
  expect(await urls()).toEqual(['https://ci.example/hooks/github/2', 'https://new.example/hooks/github/1'])
  expect(await removeHook(octokit, repo, '/hooks/github/1')).toBe('removed')
  expect(await removeHook(octokit, repo, '/hooks/github/1')).toBe('absent')
  expect(await urls()).toEqual(['https://ci.example/hooks/github/2'])
})

test('who may not make hooks is told so', async () => {
  const { machine, repo } = await simulator()
  await expect(ensureHook(machine.for(repo), repo, { url: 'https://a.example/1', secret })).rejects.toBeInstanceOf(
    RetryLater,
  )
})

test('a repository is found by its name, as an App and as a machine user', async () => {
  const { github, machine, auth, repo } = await simulator()
  const permissions = { contents: 'write', issues: 'write', metadata: 'read', pull_requests: 'write' }
  expect(await findRepository(github, auth, repo.fullName)).toEqual({
    ...repo,
    permissions: { ...permissions, repository_hooks: 'write' },
  })
  expect(await findRepository(machine, { kind: 'token' }, repo.fullName)).toEqual({ ...repo, installationId: null })
  expect(await findRepository(github, auth, 'alice/nothing')).toBeUndefined()
  expect(await findRepository(machine, { kind: 'token' }, 'alice/nothing')).toBeUndefined()
})
