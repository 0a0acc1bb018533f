import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { connect, type Db } from '#shared/db/connect.ts'
import type { Row } from '#shared/db/schema.ts'
import { noRelay, post, quiet, sweep } from '#shared/edge/testing/post.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import { addRun, say } from '#shared/run/testing/rows.ts'
import { forgeForFile } from '#shared/run/testing/forge.ts'
import { create } from './app.ts'
import { marker } from './render.ts'
import { test } from './testing/test.ts'

const forge = forgeForFile()

interface Comment {
  readonly id: number
  readonly body: string
  readonly user: { readonly login: string }
}

const start = (db: Db, github = forge.github()) => {
  const app = create({ db, relay: noRelay, log: quiet, github })
  return {
    app,
    tell: async (run: Row<'runs'>) => post(app, db, 'status-reporter', await say(db, EVENT_TYPES.runProgressed, run)),
  }
}

async function reporter(db: Db, columns: Partial<Row<'runs'>> = {}, more: { settings?: object } = {}) {
  const project = await forge.project(db, more)
  const issue = await forge.issue()
  const run = await addRun(db, project, {
    state: columns.state ?? 'running',
    columns: { subject_number: issue, ...columns },
  })
  const own = start(db)
  return {
    ...own,
    run,
    issue,
    project,
    told: () => own.tell(run),
    set: (values: Partial<Row<'runs'>>) => db.updateTable('runs').set(values).where('id', '=', run.id).execute(),
    comments: async (): Promise<Comment[]> => await forge.person<Comment[]>('GET', `${forge.issues}/${issue}/comments`),
    labels: async () =>
      (await forge.person<{ name: string }[]>('GET', `${forge.issues}/${issue}/labels`)).map(({ name }) => name),
  }
}

const later = (db: Db) =>
  db
    .updateTable('comments')
    .set({ edited_at: sql`now() - interval '11 seconds'` })
    .execute()
const edits = async (id: number) =>
  (await forge.ledger('request')).filter(
    ({ method, path }) => method === 'PATCH' && String(path).endsWith(`/comments/${id}`),
  ).length

describe('one comment per run', () => {
  test('twenty events at once, over two replicas, make one comment', async ({ db, databaseUrl }) => {
    const { run, app, comments } = await reporter(db)
    const other = connect(databaseUrl, { name: 'replica' })
    const replica = start(other)
    const events = await Promise.all(Array.from({ length: 20 }, () => say(db, EVENT_TYPES.runProgressed, run)))
    const answers = await Promise.all(
      events.map((id, index) => post(index % 2 ? app : replica.app, db, 'status-reporter', id)),
    )
    await other.destroy()
    expect(answers.map(({ status, state }) => `${status} ${state}`)).toEqual(answers.map(() => '202 done'))
    const [comment, ...others] = await comments()
    expect(others).toEqual([])
    expect(comment).toMatchObject({ user: { login: 'codex-k8s[bot]' } })
    expect(comment?.body).toContain(marker(run.id))
    expect(await db.selectFrom('comments').select('comment_id').execute()).toEqual([
      { comment_id: String(comment?.id) },
    ])
  })

  test('an answer that is lost after the comment was made is found by its marker', async ({ db }) => {
    const { told, comments, issue } = await reporter(db)
    await forge.fault('POST', `issues/${issue}/comments`, 'apply-then-drop')
    expect((await told()).status).toBe(503)
    expect(await comments()).toHaveLength(1)
    await told()
    expect(await comments()).toHaveLength(1)
  })

  test("a stranger's copy of the marker is not taken for ours", async ({ db }) => {
    const { told, comments, issue, run } = await reporter(db)
    await forge.person('POST', `${forge.issues}/${issue}/comments`, { body: marker(run.id) }, 'eve')
    await told()
    const all = await comments()
    expect(all.map(({ user }) => user.login)).toEqual(['eve', 'codex-k8s[bot]'])
    expect(all[0]?.body).toBe(marker(run.id))
  })

  test('a comment that somebody deleted is made again with the next change', async ({ db }) => {
    const { told, comments, set } = await reporter(db)
    await told()
    const [first] = await comments()
    await forge.person('DELETE', `/repos/maria/shop/issues/comments/${first?.id}`)
    await later(db)
    await set({ state: 'publishing' })
    await told()
    expect(await comments()).toHaveLength(1)
    expect((await comments())[0]?.id).not.toBe(first?.id)
  })

  test('what a reporter wrote that had lost its lease is gone when the run is over', async ({ db }) => {
    const { told, comments, set, run, issue } = await reporter(db)
    await told()
    const body = `${marker(run.id)} twice`
    const { asBot } = {
      asBot: forge.github().for({ fullName: 'maria/shop', repositoryId: forge.repositoryId(), installationId: null }),
    }
    await asBot.request('POST /repos/{owner}/{repo}/issues/{issue_number}/comments', {
      owner: 'maria',
      repo: 'shop',
      issue_number: issue,
      body,
    })
    expect(await comments()).toHaveLength(2)
    await set({ state: 'failed', reason: 'agent_lost' })
    await told()
    const all = await comments()
    expect(all).toHaveLength(1)
    expect(all[0]?.body).toContain('failed')
  })
})

describe('how often it is written', () => {
  test('not twice within ten seconds while the run goes on; the sweep brings what is left', async ({ db }) => {
    const { app, told, comments, set } = await reporter(db)
    await told()
    await set({ state: 'publishing' })
    expect(await told()).toMatchObject({ status: 202, outcome: 'shown a moment ago; the next look shows it' })
    expect((await comments())[0]?.body).toContain('is at work')
    await sweep(app)
    expect((await comments())[0]?.body).toContain('is at work')
    await later(db)
    await sweep(app)
    expect((await comments())[0]?.body).toContain('is being checked')
  })

  test('at once when the run is over', async ({ db }) => {
    const { told, comments, set } = await reporter(db)
    await told()
    await set({ state: 'failed', reason: 'budget_exhausted' })
    expect(await told()).toMatchObject({ outcome: 'shown' })
    expect((await comments())[0]?.body).toContain('used up its tokens')
  })

  test('not at all where the comment shows it already', async ({ db }) => {
    const { told, comments } = await reporter(db)
    await told()
    await told()
    await later(db)
    await told()
    expect(await edits((await comments())[0]?.id ?? 0)).toBe(0)
  })

  test('a forge that is away is asked again later, and one run that cannot be told holds up no other', async ({
    db,
  }) => {
    const { app, told, comments, issue, tell, project } = await reporter(db)
    await forge.fault('POST', `issues/${issue}/comments`, { status: 500 })
    expect(await told()).toMatchObject({ status: 503, state: 'pending' })
    const second = await addRun(db, project, { columns: { subject_number: await forge.issue() } })
    await forge.fault('POST', '/comments$', { status: 500 })
    expect((await tell(second)).status).toBe(503)
    await forge.fault('POST', `issues/${issue}/comments`, { status: 500 }, 2)
    await sweep(app)
    const theirs = await forge.person<Comment[]>('GET', `${forge.issues}/${second.subject_number}/comments`)
    expect(theirs).toHaveLength(1)
    await forge.control('DELETE', '/faults')
    await sweep(app)
    expect(await comments()).toHaveLength(1)
  })
})

describe('the labels', () => {
  test('a run that is over loses its label, a published one is in review', async ({ db }) => {
    const { told, labels, set, issue } = await reporter(db)
    await forge.label(issue)
    await told()
    expect(await labels()).toEqual(['run:dev'])
    await set({ state: 'succeeded' })
    await told()
    expect(await labels()).toEqual(['state:in-review'])
  })

  test('the label stays where a newer run was asked for with it', async ({ db }) => {
    const { told, labels, set, issue, project, run } = await reporter(db)
    await forge.label(issue)
    await set({ state: 'cancelled', reason: 'superseded' })
    await addRun(db, project, { state: 'queued', columns: { subject_number: issue, subject_id: run.subject_id } })
    await told()
    expect(await labels()).toEqual(['run:dev'])
  })

  test('a label that was set again after the end is not taken off by an event that is repeated', async ({ db }) => {
    const { told, labels, set, issue } = await reporter(db)
    await forge.label(issue)
    await set({ state: 'failed', reason: 'agent_lost' })
    await told()
    expect(await labels()).toEqual([])
    await forge.label(issue)
    await told()
    expect(await labels()).toEqual(['run:dev'])
  })

  test("a project's own names are used", async ({ db }) => {
    const { told, labels, issue } = await reporter(
      db,
      { state: 'succeeded' },
      { settings: { labels: { 'run:dev': 'bug', 'state:in-review': 'run:qa' } } },
    )
    await forge.label(issue, 'bug')
    await told()
    expect(await labels()).toEqual(['run:qa'])
  })
})

describe('where there is nothing to say', () => {
  test('what the person did on purpose a moment ago is not said, but the label goes', async ({ db }) => {
    const { told, comments, labels, issue } = await reporter(db, { state: 'refused', reason: 'subject_closed' })
    await forge.label(issue)
    expect(await told()).toMatchObject({ status: 202, state: 'done' })
    expect(await comments()).toEqual([])
    expect(await labels()).toEqual([])
  })

  test.for(['subject_gone', 'repository_gone'])(
    '%s: the forge is not asked, since the name may be somebody else’s',
    async (reason, { db }) => {
      const { told, comments, issue } = await reporter(db, { state: 'cancelled', reason })
      await forge.label(issue)
      expect(await told()).toMatchObject({ status: 202, state: 'done' })
      expect(await comments()).toEqual([])
    },
  )

  test('L11 another repository under the name hears nothing of a run', async ({ db }) => {
    const { run, issue, comments } = await reporter(db)
    await db.updateTable('projects').set({ repository_id: '999999999' }).execute()
    const { tell } = start(db, forge.machine())
    await forge.label(issue)
    expect(await tell(run)).toMatchObject({ status: 202, state: 'done' })
    expect(await comments()).toEqual([])
  })
})
