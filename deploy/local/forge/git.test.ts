import { execFile } from 'node:child_process'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { expect, test } from 'vitest'

import { at, forgeFor, refused, seed } from './testing.ts'

const GIT = '/repos/{owner}/{repo}/git'
const env = {
  PATH: process.env['PATH'],
  GIT_TERMINAL_PROMPT: '0',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
}
const git = async (...args: string[]) => (await promisify(execFile)('git', args, { env })).stdout.trim()
const withToken = (url: string, token: string) => `${url.replace('://', `://x-access-token:${token}@`)}/alice/calc.git`

async function started(overrides = {}) {
  const forge = await forgeFor(overrides)
  const { asBot } = await forge.app()
  const { data } = await asBot.request(`GET ${GIT}/ref/{ref}`, { ...at, ref: 'heads/main' })
  const tree = async (entries: unknown[], base_tree?: string) =>
    (
      await asBot.request(`POST ${GIT}/trees`, {
        ...at,
        tree: entries as never,
        ...(base_tree === undefined ? {} : { base_tree }),
      })
    ).data.sha
  const commit = async (sha: string, ...parents: string[]) =>
    (await asBot.request(`POST ${GIT}/commits`, { ...at, message: 'Change', tree: sha, parents })).data
  return { forge, asBot, main: data.object.sha, tree, commit, folder: join(forge.data, 'clone') }
}

test('a clone has the files, their modes and what was committed through the API since', async () => {
  const { forge, asBot, main, tree, commit, folder } = await started()
  await git('clone', '-q', `${forge.url}/alice/calc.git`, folder)
  expect(await readFile(join(folder, 'README.md'), 'utf8')).toBe('# calc\n')
  expect((await stat(join(folder, 'bin/run'))).mode & 0o111).toBe(0o111)
  const binary = await asBot.request(`POST ${GIT}/blobs`, {
    ...at,
    content: Buffer.from([0, 255, 1]).toString('base64'),
    encoding: 'base64',
  })
  const { sha } = await commit(
    await tree(
      [
        { path: 'src/add.js', mode: '100644', type: 'blob', sha: null },
        { path: 'deep/er/file.txt', mode: '100644', type: 'blob', content: 'ä\n' },
        { path: 'link', mode: '120000', type: 'blob', content: 'README.md' },
        { path: 'data.bin', mode: '100644', type: 'blob', sha: binary.data.sha },
      ],
      main,
    ),
    main,
  )
  await asBot.request(`POST ${GIT}/refs`, { ...at, ref: 'refs/heads/agent/1', sha })
  await asBot
    .request(`POST ${GIT}/tags`, { ...at, tag: 'v1', message: 'First', object: sha, type: 'commit' })
    .then(({ data }) => asBot.request(`POST ${GIT}/refs`, { ...at, ref: 'refs/tags/v1', sha: data.sha }))
  await git('-C', folder, 'fetch', '-q', '--tags', 'origin')
  expect(await git('-C', folder, 'rev-parse', 'origin/agent/1', 'v1^{commit}')).toBe(`${sha}\n${sha}`)
  expect(await git('-C', folder, 'ls-tree', '-r', '--name-only', 'origin/agent/1')).toBe(
    ['README.md', 'bin/run', 'data.bin', 'deep/er/file.txt', 'link'].join('\n'),
  )
  expect(await git('-C', join(forge.data, 'repositories/alice/calc.git'), 'fsck', '--strict')).toBe('')
})

test('a partial clone of one commit fetches what it needs', async () => {
  const { forge, main, folder } = await started()
  await git('init', '-q', folder)
  await git('-C', folder, 'fetch', '-q', '--depth=1', '--filter=blob:none', `${forge.url}/alice/calc.git`, main)
  expect(await git('-C', folder, 'rev-parse', 'FETCH_HEAD')).toBe(main)
})

test('a private repository is cloned only with a token that may read it', async () => {
  const { owner: _, ...rest } = { owner: '', ...seed.repos?.[0] }
  const { forge, asBot, folder } = await started({ repos: [{ ...rest, owner: 'alice', private: true }] })
  await expect(git('clone', '-q', `${forge.url}/alice/calc.git`, folder)).rejects.toThrow(
    /could not read Username|Authentication failed/,
  )
  await expect(git('clone', '-q', withToken(forge.url, 'token-eve'), folder)).rejects.toThrow(/not found/)
  await expect(git('clone', '-q', withToken(forge.url, 'wrong'), folder)).rejects.toThrow(/Authentication failed/)
  const { token } = (await asBot.auth({ type: 'installation' })) as { token: string }
  await git('clone', '-q', withToken(forge.url, token), folder)
  expect(await refused(forge.as('eve').request('GET /repos/{owner}/{repo}', at))).toMatchObject({ status: 404 })
})

test('a push is refused', async () => {
  const { forge, folder } = await started()
  await git('clone', '-q', withToken(forge.url, 'token-alice'), folder)
  await expect(git('-C', folder, 'push', 'origin', 'main:other')).rejects.toThrow(/403/)
})

test('a reference moves only forward, unless forced', async () => {
  const { asBot, main, tree, commit } = await started()
  const other = await commit(await tree([{ path: 'x', mode: '100644', type: 'blob', content: 'x' }]))
  const move = (force?: boolean) =>
    asBot.request(`PATCH ${GIT}/refs/{ref}`, { ...at, ref: 'heads/main', sha: other.sha, ...(force ? { force } : {}) })
  expect(await refused(move())).toMatchObject({ status: 422, message: 'Update is not a fast forward' })
  expect((await move(true)).data.object.sha).toBe(other.sha)
  expect(await refused(asBot.request(`POST ${GIT}/refs`, { ...at, ref: 'refs/heads/main', sha: main }))).toMatchObject({
    status: 422,
    message: 'Reference already exists',
  })
  expect(
    await refused(asBot.request(`PATCH ${GIT}/refs/{ref}`, { ...at, ref: 'heads/none', sha: main })),
  ).toMatchObject({ status: 422, message: 'Reference does not exist' })
})

test('a commit through the App without an author is signed, one by a person is not', async () => {
  const { forge, asBot, main, tree, commit } = await started()
  const sha = await tree([{ path: 'x', mode: '100644', type: 'blob', content: 'x' }], main)
  expect(await commit(sha, main)).toMatchObject({
    author: { name: 'codex-k8s[bot]' },
    verification: { verified: true },
  })
  const person = await forge
    .as('alice')
    .request(`POST ${GIT}/commits`, { ...at, message: 'Mine', tree: sha, parents: [main] })
  expect(person.data).toMatchObject({ author: { name: 'Alice' }, verification: { verified: false } })
  const named = await asBot.request(`POST ${GIT}/commits`, {
    ...at,
    message: 'Theirs',
    tree: sha,
    parents: [main],
    author: { name: 'X', email: 'x@example.org' },
  })
  expect(named.data.verification.verified).toBe(false)
})

test.for([['../up'], ['.git/config'], ['a//b'], ['/abs'], ['sub/.GIT/hooks/x']])(
  'the path %s is refused in a tree',
  async ([path]) => {
    const { tree } = await started()
    expect(await refused(tree([{ path, mode: '100644', type: 'blob', content: 'x' }]))).toMatchObject({ status: 422 })
  },
)

test.for([
  ['heads/x'],
  ['refs/heads/a b'],
  ['refs/heads/a..b'],
  ['refs/heads/x.lock'],
  ['refs/heads/main/below'],
] as const)('the reference %s is refused', async ([ref]) => {
  const { asBot, main } = await started()
  expect(await refused(asBot.request(`POST ${GIT}/refs`, { ...at, ref, sha: main }))).toMatchObject({ status: 422 })
})

test('a file becomes a folder and an emptied folder vanishes', async () => {
  const { asBot, main, tree } = await started()
  const sha = await tree(
    [
      { path: 'README.md', mode: '100644', type: 'blob', sha: null },
      { path: 'README.md/inside', mode: '100644', type: 'blob', content: 'x' },
      { path: 'src/add.js', mode: '100644', type: 'blob', sha: null },
    ],
    main,
  )
  const { data } = await asBot.request(`GET ${GIT}/trees/{tree_sha}`, { ...at, tree_sha: sha, recursive: '1' })
  expect(data.tree.filter(({ type }) => type === 'blob').map(({ path }) => path)).toEqual([
    'bin/run',
    'README.md/inside',
  ])
})
