import { expect, test } from 'vitest'
import { RetryLater } from '#shared/errors.ts'
import { createComment, deleteComment, editComment, findComments } from './comment.ts'
import { readOwnActor } from './own-actor.ts'
import { repo as nowhere, scripted } from './testing/scripted.ts'
import { simulator } from './testing/simulator.ts'

const marker = '<!-- run:1 -->'

test('only our own comments are found by their marker', async () => {
  const { octokit, repo, alice, at, bot, issue } = await simulator()
  const { number } = await issue()
  const find = () => findComments(octokit, repo, number, { marker, authorId: bot.id })
  expect(await find()).toEqual([])
  const path = 'POST /repos/{owner}/{repo}/issues/{issue_number}/comments'
  await alice.request(path, { ...at, issue_number: number, body: `I copied this: ${marker}` })
  await createComment(octokit, repo, number, 'something else')
  const made = await createComment(octokit, repo, number, `working ${marker}`)
  expect(await find()).toEqual([{ id: made?.id, authorId: bot.id, body: `working ${marker}` }])

  expect(await editComment(octokit, repo, made?.id ?? '', `done ${marker}`)).toMatchObject({
    shownAt: expect.any(String),
  })
  expect((await find())[0]?.body).toBe(`done ${marker}`)
  await deleteComment(octokit, repo, made?.id ?? '')
  await deleteComment(octokit, repo, made?.id ?? '')
  expect(await find()).toEqual([])
  expect(await editComment(octokit, repo, made?.id ?? '', 'late')).toBeUndefined()
})

test('a lost answer makes one comment, and the next call finds it', async () => {
  const { octokit, repo, bot, issue, fault } = await simulator()
  const { number } = await issue()
  await fault('POST', '/comments$', 'apply-then-drop')
  await expect(createComment(octokit, repo, number, marker)).rejects.toBeInstanceOf(RetryLater)
  expect(await findComments(octokit, repo, number, { marker, authorId: bot.id })).toHaveLength(1)
})

test('a subject that is gone has no comments and gets none', async () => {
  const { octokit } = await scripted(() => ({ status: 410 }))
  expect(await findComments(octokit, nowhere, 1, { marker, authorId: '1' })).toEqual([])
  expect(await createComment(octokit, nowhere, 1, 'x')).toBeUndefined()
})

test('the oldest comes first, over all pages', async () => {
  const { octokit } = await scripted(({ path }) => {
    const first = path.endsWith('&page=1')
    const body = Array.from({ length: first ? 100 : 1 }, (_, index) => ({
      id: 500 - index - (first ? 0 : 300),
      user: { id: 1 },
      body: marker,
    }))
    return { body }
  })
  const found = await findComments(octokit, nowhere, 1, { marker, authorId: '1' })
  expect(found).toHaveLength(101)
  expect(found[0]?.id).toBe('200')
})

test('an App and a machine user know who they are', async () => {
  const { github, machine, bot } = await simulator()
  expect(await readOwnActor(github, { kind: 'app' })).toEqual(bot)
  expect(await readOwnActor(machine, { kind: 'token' })).toEqual({ id: '1002', login: 'bob' })
})
