import { isDeepStrictEqual } from 'node:util'
import { expect, test } from 'vitest'
import { PermanentError, RetryLater } from '#shared/errors.ts'
import { readBranchHead } from './branch.ts'
import { commitChangeSet } from './commit.ts'
import type { ChangedFile } from './commit.ts'
import { repo as nowhere, scripted } from './testing/scripted.ts'
import { simulator } from './testing/simulator.ts'

const text = (path: string, content: string): ChangedFile => ({
  path,
  mode: '100644',
  content: new TextEncoder().encode(content),
})
const binary = Uint8Array.from([0, 255, 254, 1])
const files: ChangedFile[] = [
  text('src/add.js', 'a - -b\n'),
  { path: 'logo.bin', mode: '100644', content: binary },
  { path: 'bin/go', mode: '100755', content: new TextEncoder().encode('\ufeff#!/bin/sh\r\n') },
  { path: 'README.md', delete: true },
]
const branch = 'agent/7-abc'

async function setup() {
  const all = await simulator()
  const change = {
    parent: all.main,
    branch,
    message: 'Fix the sum\n\nCo-authored-by: alice',
    files,
    expectedHead: null,
  }
  const blob = async (ref: string, path: string) => {
    const answer = await all.alice.request('GET /repos/{owner}/{repo}/contents/{path}', { ...all.at, path, ref })
    return Buffer.from((answer.data as { content: string }).content, 'base64')
  }
  return { ...all, change, blob, commit: () => commitChangeSet(all.octokit, all.repo, change) }
}

test('a change set becomes one commit with the bytes, modes and deletions it has', async () => {
  const { octokit, repo, alice, at, main, blob, commit, requests } = await setup()
  const made = await commit()
  if ('conflict' in made) throw new Error(made.conflict)
  expect(await readBranchHead(octokit, repo, branch)).toBe(made.commit)

  const { data: read } = await alice.request('GET /repos/{owner}/{repo}/git/commits/{commit_sha}', {
    ...at,
    commit_sha: made.commit,
  })
  expect(read.parents.map(({ sha }) => sha)).toEqual([main])
  expect(read.tree.sha).toBe(made.tree)
  expect(read.author.name).toBe('codex-k8s[bot]')
  const { data: tree } = await alice.request('GET /repos/{owner}/{repo}/git/trees/{tree_sha}', {
    ...at,
    tree_sha: made.tree,
    recursive: '1',
  })
  const modes = tree.tree.filter(({ type }) => type === 'blob').map(({ path, mode }) => `${mode} ${path}`)
  expect(modes.toSorted()).toEqual(['100644 logo.bin', '100644 src/add.js', '100755 bin/go', '100755 bin/run'])
  expect(await blob(branch, 'logo.bin')).toEqual(Buffer.from(binary))
  expect((await blob(branch, 'bin/go')).toString()).toBe('\ufeff#!/bin/sh\r\n')
  expect((await requests()).filter((line) => line.startsWith('POST') && line.includes('/git/'))).toEqual([
    'POST /repos/alice/calc/git/blobs',
    'POST /repos/alice/calc/git/trees',
    'POST /repos/alice/calc/git/commits',
    'POST /repos/alice/calc/git/refs',
  ])
})

test('asked again it takes the branch that is there', async () => {
  const { commit, requests } = await setup()
  const first = await commit()
  expect(await commit()).toEqual(first)
  expect((await requests()).filter((line) => /POST .*\/git\/(refs|commits)/.test(line))).toHaveLength(2)
})

test('whatever answer gets lost, one call or the next leaves one commit on the branch', async () => {
  const losing = async (path: string) => {
    const { octokit, repo, alice, at, main, commit, fault } = await setup()
    await fault('POST', path, 'apply-then-drop', 3)
    const first = await commit().catch((error: unknown) => error)
    const made = await commit()
    const head = (await readBranchHead(octokit, repo, branch)) ?? ''
    const address = { ...at, commit_sha: head }
    const { data } = await alice.request('GET /repos/{owner}/{repo}/git/commits/{commit_sha}', address)
    return {
      firstWaitsOrIsIt: first instanceof RetryLater || isDeepStrictEqual(first, made),
      secondIsOnTheBranch: 'commit' in made && made.commit === head,
      onItsParent: data.parents.length === 1 && data.parents[0]?.sha === main,
    }
  }
  const all = await Promise.all(['git/blobs', 'git/trees', 'git/commits', 'git/refs'].map(losing))
  const good = { firstWaitsOrIsIt: true, secondIsOnTheBranch: true, onItsParent: true }
  expect(all).toEqual([good, good, good, good])
})

test('a further commit moves the branch from where it is expected', async () => {
  const { octokit, repo, change, commit } = await setup()
  const first = await commit()
  if ('conflict' in first) throw new Error(first.conflict)
  const next = { ...change, parent: first.commit, expectedHead: first.commit, files: [text('more.txt', 'more')] }
  const second = await commitChangeSet(octokit, repo, next)
  if ('conflict' in second) throw new Error(second.conflict)
  expect(await readBranchHead(octokit, repo, branch)).toBe(second.commit)
  expect(await commitChangeSet(octokit, repo, next)).toEqual(second)
})

test('a branch that is somewhere else is left alone', async () => {
  const { octokit, repo, change, commit, main } = await setup()
  const other = await commitChangeSet(octokit, repo, { ...change, files: [text('other.txt', 'x')] })
  if ('conflict' in other) throw new Error(other.conflict)
  expect(await commit()).toEqual({ conflict: 'branch_moved' })
  expect(await commitChangeSet(octokit, repo, { ...change, expectedHead: main })).toEqual({ conflict: 'branch_moved' })
  // At the expected commit, but the parent is another one: without force that is no update.
  await expect(commitChangeSet(octokit, repo, { ...change, expectedHead: other.commit })).resolves.toEqual({
    conflict: 'branch_moved',
  })
  expect(await readBranchHead(octokit, repo, branch)).toBe(other.commit)
  const absent = { ...change, branch: 'agent/none', expectedHead: main }
  expect(await commitChangeSet(octokit, repo, absent)).toEqual({ conflict: 'branch_moved' })
})

test('of two at the same time one wins and the other takes its commit', async () => {
  const { commit, octokit, repo } = await setup()
  const [one, two] = await Promise.all([commit(), commit()])
  expect(one).toEqual(two)
  expect(one).toMatchObject({ commit: await readBranchHead(octokit, repo, branch) })
})

test('a missing parent and an empty change are told', async () => {
  const { octokit, repo, change } = await setup()
  expect(await commitChangeSet(octokit, repo, { ...change, parent: 'a'.repeat(40) })).toEqual({
    conflict: 'parent_missing',
  })
  expect(await commitChangeSet(octokit, repo, { ...change, files: [] })).toEqual({ conflict: 'no_change' })
  expect(await commitChangeSet(octokit, repo, { ...change, files: [text('src/add.js', 'a + b\n')] })).toEqual({
    conflict: 'no_change',
  })
  expect(await readBranchHead(octokit, repo, branch)).toBeUndefined()
})

test('what git would not take as a name never becomes a path', async () => {
  const { octokit, seen } = await scripted(() => ({ status: 404 }))
  for (const name of [
    '',
    '/a',
    'a/',
    'a..b',
    'a b',
    'a~1',
    'a^',
    'a:b',
    'a?',
    'a*',
    'a[',
    'a\\b',
    '.a',
    'a/.b',
    'a.lock',
    'a.lock/b',
    '@',
    'a@{1}',
    '-a',
    'a//b',
    'a.',
    'a\u0000',
  ]) {
    await expect(readBranchHead(octokit, nowhere, name)).rejects.toBeInstanceOf(PermanentError)
  }
  const change = { parent: 'HEAD', branch, message: 'x', files, expectedHead: null }
  await expect(commitChangeSet(octokit, nowhere, change)).rejects.toBeInstanceOf(PermanentError)
  expect(seen).toHaveLength(0)
  expect(await readBranchHead(octokit, nowhere, 'agent/7-\u00e9')).toBeUndefined()
})

test('an empty repository has no branch', async () => {
  const { octokit } = await scripted(() => ({ status: 409, body: { message: 'Git Repository is empty.' } }))
  expect(await readBranchHead(octokit, nowhere, 'main')).toBeUndefined()
})
