import { expect, test } from 'vitest'
import { PermanentError, RetryLater } from '#shared/errors.ts'
import { readActorPermission } from './actor-permission.ts'
import { repo, scripted } from './testing/scripted.ts'
import type { Answer } from './testing/scripted.ts'
import { simulator } from './testing/simulator.ts'

test('the owner, a writer, a stranger and nobody are told apart', async () => {
  const { octokit, repo } = await simulator()
  const read = (login: string) => readActorPermission(octokit, repo, login)
  expect(await read('alice')).toEqual({ actorId: '1001', type: 'User', permission: 'admin' })
  expect(await read('bob')).toEqual({ actorId: '1002', type: 'User', permission: 'write' })
  expect(await read('eve')).toMatchObject({ actorId: '1003', permission: 'read' })
  expect(await read('nobody-here')).toEqual({ actorId: '', type: 'Unknown', permission: 'none' })
  expect(await read('codex-k8s[bot]')).toMatchObject({ type: 'Bot' })
})

test('the role counts, and an own word for a role falls back to what it is built on', async () => {
  const cases = [
    { permission: 'write', role_name: 'maintain', expected: 'maintain' },
    { permission: 'read', role_name: 'triage', expected: 'triage' },
    { permission: 'push', role_name: 'write', expected: 'write' },
    { permission: 'read', role_name: 'security-reviewer', expected: 'read' },
    { permission: 'write', role_name: 'constructor', expected: 'write' },
    { permission: 'something', role_name: 'else', expected: 'none' },
  ]
  for (const { expected, ...body } of cases) {
    const { octokit } = await scripted(() => ({ body: { ...body, user: { id: 5, type: 'User' } } }))
    expect((await readActorPermission(octokit, repo, 'a')).permission).toBe(expected)
  }
})

test('a repository that cannot be seen says nothing about a person', async () => {
  const gone = await scripted(() => ({ status: 404 }))
  await expect(readActorPermission(gone.octokit, repo, 'alice')).rejects.toBeInstanceOf(RetryLater)
  const renamed = await scripted(({ path }) =>
    path === '/repositories/42' ? { body: { id: 42, full_name: 'acme/other' } } : { status: 404 },
  )
  await expect(readActorPermission(renamed.octokit, repo, 'alice')).rejects.toBeInstanceOf(RetryLater)
})

test('no answer is neither a yes nor a no', async () => {
  const answers = ['drop' as const, ...[401, 403, 500].map((status) => ({ status }))]
  const lookUp = async (answer: Answer) => readActorPermission((await scripted(() => answer)).octokit, repo, 'alice')
  const results = await Promise.allSettled(answers.map(lookUp))
  expect(results.every((one) => one.status === 'rejected' && one.reason instanceof RetryLater)).toBe(true)
})

test('what is not a name never becomes a path', async () => {
  const { octokit, seen } = await scripted(() => ({ body: {} }))
  for (const login of ['', '.', '..']) {
    await expect(readActorPermission(octokit, repo, login)).rejects.toBeInstanceOf(PermanentError)
  }
  for (const fullName of ['acme', 'acme/..', 'acme/shop/x', '../shop', 'acme/sh?op', 'acme/']) {
    await expect(readActorPermission(octokit, { ...repo, fullName }, 'a')).rejects.toBeInstanceOf(PermanentError)
  }
  expect(seen).toHaveLength(0)
  await readActorPermission(octokit, repo, 'a/../b?c').catch(() => undefined)
  expect(seen[0]?.path).toBe('/repos/acme/shop/collaborators/a%2F..%2Fb%3Fc/permission')
})
