import { describe, expect } from 'vitest'
import { EVENT_TYPES } from '#shared/events/types.ts'
import { addRun, runNow, saidOf, say } from '#shared/run/testing/rows.ts'
import { routers } from './testing/router.ts'
import { test } from './testing/test.ts'

const { forge, router } = routers()
const permission = 'collaborators/maria/permission'

describe('who may ask', () => {
  test('L1 whoever may write gets a run, with what the label event says and nothing else', async ({ db }) => {
    const { take, runs, project } = await router(db)
    const issue = await forge.issue()
    const body = await forge.label(issue, 'run:dev', 'walt')

    expect(await take(body)).toMatchObject({ status: 202, text: '', state: 'done', outcome: 'run of dev' })

    const [event] = await forge.person<{ id: number }[]>('GET', `${forge.issues}/${issue}/events`)
    expect(await runs()).toMatchObject([
      {
        state: 'queued',
        project_id: project.id,
        subject_id: String(body.issue.id),
        subject_number: issue,
        label_event_id: String(event?.id),
        requester_id: '1004',
        requester_login: 'walt',
      },
    ])
  })

  test.for(['theo', 'eve'])('L1 a label by %s, who may not write, is refused with a reason', async (login, { db }) => {
    const { take, runs } = await router(db)
    const issue = await forge.issue()
    // As an issue form does it: somebody who may only read is the sender of a `labeled` event.
    const body = await forge.label(issue, 'run:dev', 'theo')
    if (login === 'eve') {
      const actor = { id: 1003, login: 'eve', type: 'User' }
      body.sender = actor
      const event = { id: 5, event: 'labeled', actor, label: { name: 'run:dev' }, created_at: body.issue.updated_at }
      await forge.fault('GET', `issues/${issue}/events`, { status: 200, body: [event] })
    }

    expect(await take(body)).toMatchObject({ status: 202, outcome: 'refused: actor_not_allowed' })
    const [run] = await runs()
    expect(run).toMatchObject({
      state: 'refused',
      reason: 'actor_not_allowed',
      requester_id: body.sender.id.toString(),
    })
    expect(await saidOf(db, run?.id ?? '')).toEqual(['request.refused'])
  })

  test.for([
    ['403', { status: 403 }, 1],
    ['500', { status: 500 }, 3],
    ['a reset', 'drop-before', 3],
  ] as const)(
    'L1 a look-up that ends in %s is tried again, never taken for a yes',
    async ([, effect, times], { db }) => {
      const { take, post, runs } = await router(db)
      const body = await forge.label(await forge.issue())
      await forge.fault('GET', permission, effect, times)

      const first = await take(body)
      expect(first).toMatchObject({ status: 503, state: 'pending' })
      expect(Number(first.headers.get('retry-after'))).toBeGreaterThan(0)
      expect(await runs()).toEqual([])

      const [{ id } = { id: '' }] = await db.selectFrom('outbox').select('id').execute()
      expect(await post(id)).toMatchObject({ status: 202, state: 'done' })
      expect(await runs()).toMatchObject([{ state: 'queued' }])
    },
  )

  test('L1 where the forge knows no such login, that is a no; where it hides the repository, it is no answer', async ({
    db,
  }) => {
    const { take, runs } = await router(db)
    await forge.fault('GET', permission, { status: 404 })
    expect(await take(await forge.label(await forge.issue()))).toMatchObject({ outcome: 'refused: actor_not_allowed' })
    expect(await runs()).toMatchObject([{ state: 'refused' }])

    // The first look at the repository is the router's own, the second asks what the 404 meant.
    const body = await forge.label(await forge.issue())
    await forge.fault('GET', permission, { status: 404 })
    await forge.fault('GET', '/repositories/', { status: 200, body: await forge.person('GET', '/repos/maria/shop') })
    await forge.fault('GET', '/repositories/', { status: 404 }, 2)
    expect((await take(body)).status).toBe(503)
  })

  test('L2 a bot with admin rights may not ask, unless the project lists its numeric id', async ({ db }) => {
    const { take, runs } = await router(db)
    const body = await forge.label(await forge.issue(), 'run:dev', 'helper-bot')
    expect(body.sender.type).toBe('Bot')
    expect(await take(body)).toMatchObject({ outcome: 'refused: actor_not_allowed' })

    await db
      .updateTable('projects')
      .set({ settings: JSON.stringify({ ask: { bots: ['1005'] } }) })
      .execute()
    expect(await take(await forge.label(await forge.issue(), 'run:dev', 'helper-bot'))).toMatchObject({
      outcome: 'run of dev',
    })
    expect((await runs()).map(({ state }) => state).toSorted()).toEqual(['queued', 'refused'])
  })

  test.for([
    ['a login that another account has taken over', { id: 777, login: 'maria', type: 'User' }],
    ['a name in the shape of a bot', { id: 1003, login: 'maria[bot]', type: 'User' }],
    ['the account of the deleted', { id: 10137, login: 'ghost', type: 'User' }],
    ['a bot that says it is a person', { id: 778, login: 'dependabot[bot]', type: 'User' }],
  ] as const)('L2 %s may not ask', async ([, sender], { db }) => {
    const { take, runs } = await router(db)
    const issue = await forge.issue()
    const body = await forge.label(issue)
    const created_at = body.issue.updated_at
    const event = { id: 5, event: 'labeled', actor: sender, label: { name: 'run:dev' }, created_at }
    await forge.fault('GET', `issues/${issue}/events`, { status: 200, body: [event] })

    expect(await take({ ...body, sender })).toMatchObject({ status: 202, outcome: 'refused: actor_not_allowed' })
    expect(await runs()).toMatchObject([{ state: 'refused' }])
  })

  test('L2 a person with a new name and the same id may ask', async ({ db }) => {
    const { take } = await router(db)
    const body = await forge.label(await forge.issue())
    const user = { id: 1001, login: 'maria-renamed', type: 'User' }
    await forge.fault('GET', 'collaborators/maria-renamed/permission', {
      status: 200,
      body: { permission: 'admin', role_name: 'admin', user },
    })
    expect(await take({ ...body, sender: user })).toMatchObject({ outcome: 'run of dev' })
  })

  test('L2 a login with a line break in it is no login, and settles for good', async ({ db }) => {
    const { take } = await router(db)
    const body = await forge.label(await forge.issue())
    const answer = await take({ ...body, sender: { ...body.sender, login: 'maria\nCo-authored-by: eve' } })
    expect(answer).toMatchObject({ status: 422, state: 'pending' })
    expect(answer.text).not.toContain('Co-authored')
  })

  test('L3 what our own App labels and unlabels starts and ends nothing', async ({ db }) => {
    const { take, runs } = await router(db)
    const issue = await forge.issue()
    const body = await forge.label(issue)
    await take(body)
    const own = { id: forge.bot().id, login: forge.bot().login, type: 'Bot' }

    const unlabelled = await forge.unlabel(issue)
    expect(await take({ ...unlabelled, sender: own })).toMatchObject({ outcome: 'ignored: our own event' })
    const again = await forge.label(issue)
    expect(await take({ ...again, sender: own })).toMatchObject({ outcome: 'ignored: our own event' })
    expect(await runs()).toMatchObject([{ state: 'queued' }])
  })
})

describe('a run that waited', () => {
  test('L10 goes on while its requester may still ask', async ({ db }) => {
    const { take, post, runs } = await router(db)
    await take(await forge.label(await forge.issue()))
    const [run] = await runs()
    const judged = run?.judged_at
    const due = await say(db, EVENT_TYPES.stageDue, run as NonNullable<typeof run>)

    expect(await post(due)).toMatchObject({ status: 202, outcome: 'still wanted' })
    const [now] = await runs()
    expect(now?.state).toBe('queued')
    expect(now?.judged_at.getTime()).toBeGreaterThanOrEqual(judged?.getTime() ?? 0)
    expect(await saidOf(db, now?.id ?? '')).toEqual(['stage.approved', 'stage.approved'])
  })

  test('L10 is cancelled when its requester has lost the right meanwhile', async ({ db }) => {
    const { take, post, runs } = await router(db)
    await forge.person('PUT', '/repos/maria/shop/collaborators/theo', { permission: 'push' })
    await take(await forge.label(await forge.issue(), 'run:dev', 'theo'))
    const [run] = await runs()
    expect(run?.state).toBe('queued')
    await forge.person('PUT', '/repos/maria/shop/collaborators/theo', { permission: 'triage' })

    const due = await say(db, EVENT_TYPES.stageDue, run as NonNullable<typeof run>)
    expect(await post(due)).toMatchObject({ status: 202, outcome: 'cancels: actor_revoked' })
    expect(await runs()).toMatchObject([{ state: 'cancelled', reason: 'actor_revoked' }])
    expect(await saidOf(db, run?.id ?? '')).toEqual(['stage.approved', 'run.cancelled'])
  })

  test('L10 a look-up that fails leaves it waiting', async ({ db }) => {
    const { take, post, runs } = await router(db)
    await take(await forge.label(await forge.issue()))
    const [run] = await runs()
    await forge.fault('GET', permission, { status: 500 }, 3)
    const due = await say(db, EVENT_TYPES.stageDue, run as NonNullable<typeof run>)
    expect(await post(due)).toMatchObject({ status: 503, state: 'pending' })
    expect(await runs()).toMatchObject([{ state: 'queued' }])
  })

  test('an event about a run that moved on does nothing', async ({ db }) => {
    const { post, project } = await router(db)
    const run = await addRun(db, project, { state: 'running' })
    const due = await say(db, EVENT_TYPES.stageDue, run)
    expect(await post(due)).toMatchObject({ outcome: 'ignored: the run does not wait any more' })
    expect((await runNow(db, run.id)).version).toBe(run.version)
  })
})

describe('a repository that was deleted and created again under its name', () => {
  test('L11 starts nothing until it is connected again', async ({ db }) => {
    const { take, runs } = await router(db, { repository_id: '999999999', machine: true })
    expect(await take(await forge.label(await forge.issue()))).toMatchObject({
      status: 202,
      outcome: 'ignored: another repository has this name now',
    })
    expect(await runs()).toEqual([])

    await db.updateTable('projects').set({ repository_id: forge.repositoryId() }).execute()
    expect(await take(await forge.label(await forge.issue()))).toMatchObject({ outcome: 'run of dev' })
  })

  test('L11 an App, which gets no token for it, waits for somebody to repair that', async ({ db }) => {
    const { take, runs } = await router(db, { repository_id: '999999999' })
    expect(await take(await forge.label(await forge.issue()))).toMatchObject({ status: 503, state: 'pending' })
    expect(await runs()).toEqual([])
  })

  test('L11 ends a run that waits, without a look at the other issue of that number', async ({ db }) => {
    const { post, project, runs } = await router(db, { repository_id: '999999999', machine: true })
    const issue = await forge.issue()
    await forge.label(issue)
    const run = await addRun(db, project, { state: 'queued', columns: { subject_number: issue } })
    const due = await say(db, EVENT_TYPES.stageDue, run)
    expect(await post(due)).toMatchObject({ outcome: 'cancels: repository_gone' })
    expect(await runs()).toMatchObject([{ state: 'cancelled', reason: 'repository_gone' }])
  })

  test('L11 nothing happens for a repository that was disconnected', async ({ db }) => {
    const { take, runs } = await router(db, { state: 'disconnected' })
    expect(await take(await forge.label(await forge.issue()))).toMatchObject({
      outcome: 'ignored: the repository is not connected',
    })
    expect(await runs()).toEqual([])
  })
})
