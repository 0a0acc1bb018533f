// oxlint-disable no-restricted-imports -- the support of all tests
import { describe, expect } from 'vitest'
import { test } from '../../test/support/database.ts'
import type { Db } from '#shared/db/connect.ts'
import { canonicalJson, sha256 } from '#shared/digest.ts'
import { RetryLater } from '#shared/errors.ts'
import type { Manifest } from '#shared/job/bundle.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import { deliver } from '#shared/outbox/deliver.ts'
import { addAttempt, addProject, addRun, runNow, saidOf, say } from '#shared/run/testing/rows.ts'
import { changePublisher, type Forge } from './handler.ts'
import { store } from './store.ts'

const text = 'hello\n'
const canary = 'canary-value-of-this-installation'

/** A forge that takes everything; what it was asked. */
function forgeOf(more: Partial<Forge> = {}) {
  const asked: string[] = []
  const forge: Forge = {
    mayStillAsk: async () => true,
    isOpen: async () => true,
    baseTree: async () => new Map(),
    baseFile: async () => new Uint8Array(),
    commit: async ({ branch }) => (asked.push(`commit ${branch}`), { commit: 'a'.repeat(40) }),
    openPullRequest: async ({ head }) => (asked.push(`pull ${head}`), { number: 12, url: 'https://forge/pull/12' }),
    ...more,
  }
  return { forge, asked }
}

interface Situation {
  readonly forge?: Partial<Forge>
  readonly result?: object
  readonly content?: string
  readonly revise?: Manifest['revise']
}

async function finished(db: Db, more: Situation = {}) {
  const { forge, asked } = forgeOf(more.forge)
  const content = more.content ?? text
  const revising = more.revise && { manifest: { revise: more.revise } }
  const run = await addRun(db, await addProject(db), { state: 'publishing', ...revising })
  const result = {
    outcome: 'succeeded',
    base: '0'.repeat(40),
    changes: [
      { kind: 'write', path: 'hello.txt', mode: '100644', blob: sha256(content), bytes: Buffer.byteLength(content) },
    ],
    message: { title: 'Say hello', summary: 'Adds a greeting.', tests: 'None.' },
    session: null,
    log: null,
    usage: { inputTokens: 1, cachedInputTokens: 0, outputTokens: 1 },
    ...more.result,
  }
  const manifest = canonicalJson(result)
  await db
    .insertInto('blobs')
    .values({ digest: sha256(manifest), bytes: Buffer.from(manifest) })
    .execute()
  const attempt = await addAttempt(db, run.id, { state: 'finished', result_digest: sha256(manifest) })
  await db
    .insertInto('blobs')
    .values({ digest: sha256(content), bytes: Buffer.from(content) })
    .onConflict((same) => same.doNothing())
    .execute()
  await db
    .insertInto('uploads')
    .values({ run_id: run.id, attempt: attempt.attempt, digest: sha256(content) })
    .execute()
  const handle = changePublisher({ ...store(db), canaries: [canary], forge: () => forge })
  const publish = async () => deliver(db, 'change-publisher', await say(db, EVENT_TYPES.runFinished, run), handle)
  return { run, asked, publish }
}

describe('a finished run', () => {
  test('becomes one commit and one pull request, and is over', async ({ db }) => {
    const { run, asked, publish } = await finished(db)
    expect((await publish()).outcome).toBe('published #12')
    const change = await db.selectFrom('changes').selectAll().executeTakeFirstOrThrow()
    expect(asked).toEqual([`commit ${change.branch}`, `pull ${change.branch}`])
    expect(change).toMatchObject({ head_commit: 'a'.repeat(40), pull_number: 12, version: 2 })
    expect(await runNow(db, run.id)).toMatchObject({ state: 'succeeded', reason: null })
    expect(await saidOf(db, run.id)).toEqual(['change.published'])
    expect((await publish()).outcome).toBe('ignored: the run is not waiting to be published')
    expect(asked).toHaveLength(2)
  })

  test('L10 of somebody who lost the right is cancelled before anything is published', async ({ db }) => {
    const { run, asked, publish } = await finished(db, { forge: { mayStillAsk: async () => false } })
    expect((await publish()).outcome).toBe('rejected: actor_revoked')
    expect(asked).toEqual([])
    expect(await runNow(db, run.id)).toMatchObject({ state: 'cancelled', reason: 'actor_revoked' })
    expect(await saidOf(db, run.id)).toEqual(['change.rejected'])
  })

  test('L10 a right that cannot be looked up is waited for', async ({ db }) => {
    const { run, asked, publish } = await finished(db, {
      forge: { mayStillAsk: () => Promise.reject(new RetryLater('away')) },
    })
    await expect(publish()).rejects.toThrow('away')
    expect(asked).toEqual([])
    expect((await runNow(db, run.id)).state).toBe('publishing')
  })

  test('that was cancelled while it was looked at publishes nothing', async ({ db }) => {
    const { asked, publish, run } = await finished(db, {
      forge: {
        mayStillAsk: async () => {
          await db.updateTable('runs').set({ state: 'cancelled', reason: 'label_removed', version: 9 }).execute()
          return true
        },
      },
    })
    // The handler sees that the run moved before the forge is touched; the next look finds nothing to do.
    await publish().catch((error: unknown) => expect(error).toBeInstanceOf(RetryLater))
    expect((await publish()).outcome).toBe('ignored: the run is not waiting to be published')
    expect(asked).toEqual([])
    expect((await runNow(db, run.id)).state).toBe('cancelled')
  })

  test.for<[string, string, Parameters<typeof finished>[1]]>([
    ['agent_gave_no_result', 'a last message in another form', { result: { message: { title: '' } } }],
    ['input_invalid', 'another base', { result: { base: 'f'.repeat(40) } }],
    ['secret_found', 'a secret in the title', { result: { message: { title: canary, summary: 's', tests: '' } } }],
    ['secret_found', 'a secret in a file', { content: `key = ${canary}\n` }],
    ['nothing_to_publish', 'no change', { result: { changes: [] } }],
    ['change_refused', 'a path outside', { result: { changes: [{ kind: 'delete', path: '../x' }] } }],
    ['repository_gone', 'no repository', { forge: { baseTree: async () => undefined } }],
    [
      'branch_moved',
      'a branch that somebody pushed to',
      { forge: { commit: async () => ({ refused: 'branch_moved' }) } },
    ],
    [
      'change_refused',
      'a pull request that the forge refuses',
      { forge: { openPullRequest: async () => ({ refused: 'No commits between main and agent/1' }) } },
    ],
  ])('ends as %s with %s', async ([reason, , more], { db }) => {
    const { run, publish } = await finished(db, more)
    expect((await publish()).outcome).toBe(`rejected: ${reason}`)
    const now = await runNow(db, run.id)
    expect(now).toMatchObject({ state: 'failed', reason })
    expect(now.detail ?? '').not.toContain(canary)
    expect(await saidOf(db, run.id)).toEqual(['change.rejected'])
  })

  test('C12 the intent is committed before the forge is touched', async ({ db }) => {
    const seen: unknown[] = []
    const { publish } = await finished(db, {
      forge: {
        commit: async () => {
          seen.push(...(await db.selectFrom('intents').select(['kind', 'state']).execute()))
          throw new RetryLater('lost')
        },
      },
    })
    await expect(publish()).rejects.toThrow('lost')
    expect(seen).toEqual([{ kind: 'pull_request', state: 'intended' }])
  })
})

describe('a finished run that revises a change', () => {
  const head = 'c'.repeat(40)
  const revise = {
    change: '6e6ed33a-0d4a-4c41-b58f-bb4a36d1a3a8',
    pull: 12,
    asked: { by: 'label' as const, on: 12 },
    head,
    rule: 'label' as const,
    review: sha256('review'),
    session: null,
  }
  const onHead = { base: head }

  test('is judged against the head, put on top of it and nowhere else, and opens no second pull request', async ({
    db,
  }) => {
    const trees: string[] = []
    const commits: { parent: string; expectedHead: string | null }[] = []
    const { run, asked, publish } = await finished(db, {
      revise,
      result: onHead,
      forge: {
        baseTree: async (commit) => (trees.push(commit), new Map()),
        commit: async ({ parent, expectedHead }) => (
          commits.push({ parent, expectedHead }),
          { commit: 'd'.repeat(40) }
        ),
      },
    })
    await db
      .updateTable('changes')
      .set({ head_commit: 'b'.repeat(40), pull_number: 12, pull_url: 'https://forge/pull/12' })
      .execute()
    expect((await publish()).outcome).toBe('published #12')
    expect(trees).toEqual([head])
    // Somebody had pushed to the branch before the request: the head is the one that was asked for, not our own last one.
    expect(commits).toEqual([{ parent: head, expectedHead: head }])
    expect(asked).toEqual([])
    expect(await db.selectFrom('changes').selectAll().executeTakeFirstOrThrow()).toMatchObject({
      head_commit: 'd'.repeat(40),
      pull_number: 12,
      pull_url: 'https://forge/pull/12',
    })
    expect(await runNow(db, run.id)).toMatchObject({ state: 'succeeded' })
  })

  test.for<[string, string, Situation]>([
    ['stale_head', 'a push since', { forge: { commit: async () => ({ refused: 'branch_moved' }) }, result: onHead }],
    ['pull_request_closed', 'a closed pull request', { forge: { isOpen: async () => false }, result: onHead }],
    ['input_invalid', 'a change set against the base', { result: { base: '0'.repeat(40) } }],
  ])('ends as %s with %s', async ([reason, , more], { db }) => {
    const { run, asked, publish } = await finished(db, { ...more, revise })
    expect((await publish()).outcome).toBe(`rejected: ${reason}`)
    expect(await runNow(db, run.id)).toMatchObject({ state: 'failed', reason })
    expect(asked).toEqual([])
  })
})
