import { describe, expect } from 'vitest'
import type { Db } from '#shared/db/connect.ts'
import { sha256 } from '#shared/digest.ts'
import type { ReviewContent } from '#shared/job/bundle.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import { runNow, saidOf, say } from '#shared/run/testing/rows.ts'
import { publishedChange, SESSION } from './testing/change.ts'
import { routers } from './testing/router.ts'
import { test } from './testing/test.ts'

const { forge, router } = routers()
const LABEL = 'run:dev:revise'

async function setup(db: Db) {
  const all = await router(db)
  const change = await publishedChange(forge, db, all.project)
  return {
    ...all,
    ...change,
    /** Runs besides the one that made the change. */
    asked: async () => (await all.runs()).filter(({ id }) => id !== change.run.id),
  }
}

async function bundleOf(db: Db, digest: string | null | undefined) {
  const row = await db
    .selectFrom('bundles')
    .selectAll()
    .where('digest', '=', digest ?? '')
    .executeTakeFirstOrThrow()
  const { bytes } = await db
    .selectFrom('blobs')
    .select('bytes')
    .where('digest', '=', row.manifest.revise?.review ?? '')
    .executeTakeFirstOrThrow()
  return { manifest: row.manifest, review: JSON.parse(bytes.toString()) as ReviewContent }
}

describe('a change is revised', () => {
  test('by a review that requests changes: the same change at the head that was reviewed, with what people said', async ({
    db,
  }) => {
    const { take, asked, issue, pull, head, change } = await setup(db)
    await forge.person('POST', `${forge.issues}/${pull}/comments`, { body: 'And a word on top.' }, 'walt')
    const comments = [{ path: 'hello.txt', line: 1, body: 'Louder.' }]
    const body = await forge.review(pull, 'Not yet.', 'maria', comments)
    expect(await take(body)).toMatchObject({
      status: 202,
      outcome: `run of dev on #${pull}, the stage by change_run`,
    })
    const [run] = await asked()
    expect(run).toMatchObject({
      state: 'queued',
      stage: 'dev',
      label: LABEL,
      subject_number: issue,
      label_event_id: `review-${body.review?.id}`,
      requester_login: 'maria',
      change_id: change.id,
    })
    expect(await saidOf(db, run?.id ?? '')).toEqual(['stage.approved'])
    const { manifest, review } = await bundleOf(db, run?.bundle_digest)
    expect(manifest).toMatchObject({
      subject: { kind: 'issue', number: issue },
      effort: 'low',
      revise: {
        change: change.id,
        pull,
        head,
        asked: { by: 'review', on: pull },
        rule: 'change_run',
        session: sha256(SESSION),
      },
    })
    expect(review).toMatchObject({
      title: 'Say hello',
      previous: { summary: 'Adds a greeting.' },
      reviews: [{ author: 'maria', state: 'changes_requested', body: 'Not yet.' }],
      comments: [{ author: 'maria', path: 'hello.txt', line: 1, body: 'Louder.' }],
      discussion: [{ author: 'walt', body: 'And a word on top.' }],
    })
    const instructions = await db
      .selectFrom('blobs')
      .select('bytes')
      .where('digest', '=', manifest.instructions)
      .executeTakeFirstOrThrow()
    expect(instructions.bytes.toString()).toMatch(/task\/issue\.md[\s\S]*task\/review\.md/)
    // The change is the one that was there.
    expect(await db.selectFrom('changes').select('id').execute()).toEqual([{ id: change.id }])
  })

  test('by a label on the issue, and by one on the pull request', async ({ db }) => {
    const { take, asked, issue, pull, head } = await setup(db)
    expect(await take(await forge.label(issue, LABEL))).toMatchObject({
      outcome: `run of dev on #${pull}, the stage by label`,
    })
    expect(await take(await forge.label(pull, LABEL, 'walt'))).toMatchObject({
      outcome: `run of dev on #${pull}, the stage by label`,
    })
    const [first, second] = await asked()
    // One active run of a stage on the issue, wherever it was asked for: the later request takes the place.
    expect([first, second]).toMatchObject([
      { state: 'cancelled', reason: 'superseded', subject_number: issue, requester_login: 'maria' },
      { state: 'queued', subject_number: issue, requester_login: 'walt' },
    ])
    const { manifest } = await bundleOf(db, second?.bundle_digest)
    expect(manifest.revise).toMatchObject({ head, asked: { by: 'label', on: pull }, rule: 'label' })
  })

  test('L4 once for one review, however often it is delivered', async ({ db }) => {
    const { take, asked, pull } = await setup(db)
    const body = await forge.review(pull)
    await Promise.all([take(body), take(body)])
    await take(body)
    expect(await asked()).toHaveLength(1)
    expect(await take(await forge.review(pull, 'Still not.'))).toMatchObject({
      outcome: expect.stringMatching(/^run/) as string,
    })
    expect((await asked()).map(({ state }) => state).toSorted()).toEqual(['cancelled', 'queued'])
  })

  test('L4 a label on a pull request that was refused is refused for ever, also when it could run by now', async ({
    db,
  }) => {
    const { take, asked, issue, pull } = await setup(db)
    const body = await forge.label(pull, LABEL, 'theo')
    expect(await take(body)).toMatchObject({ outcome: 'refused: actor_not_allowed' })
    await forge.person('PUT', '/repos/maria/shop/collaborators/theo', { permission: 'push' })
    await take(body)
    await forge.person('PUT', '/repos/maria/shop/collaborators/theo', { permission: 'triage' })
    // Said where it was asked.
    expect(await asked()).toMatchObject([{ state: 'refused', subject_number: pull }])
    expect(issue).not.toBe(pull)
  })

  test('with the model and effort of the issue, else of the pull request, else of the run before', async ({ db }) => {
    const { take, asked, issue, pull } = await setup(db)
    const efforts: string[] = []
    const ask = async () => {
      await take(await forge.review(pull))
      const { manifest } = await bundleOf(db, (await asked()).at(-1)?.bundle_digest)
      efforts.push(manifest.effort)
    }
    await ask()
    await forge.label(pull, 'ai-effort:extra-high')
    await ask()
    await forge.label(issue, 'ai-effort:low')
    await ask()
    expect(efforts).toEqual(['low', 'xhigh', 'low'])
  })
})

describe('a request to revise is refused', () => {
  test.for([
    ['on an issue without a pull request', 'nothing_to_revise'],
    ['on a pull request of somebody else', 'not_our_pull_request'],
    ['on a closed pull request', 'pull_request_closed'],
    ['on an issue whose pull requests are closed', 'pull_request_closed'],
    ['by somebody who may not write', 'actor_not_allowed'],
    ['beside another run label', 'label_conflict'],
    ['for a stage that is not there', 'stage_not_configured'],
  ] as const)('%s: %s', async ([what, reason], { db }) => {
    const { take, asked, issue, pull, change, close } = await setup(db)
    if (what === 'on a pull request of somebody else')
      await db
        .updateTable('changes')
        .set({ pull_number: pull + 1_000 })
        .where('id', '=', change.id)
        .execute()
    if (what === 'on a pull request of somebody else')
      await db.updateTable('projects').set({ own_actor_id: '4242' }).execute()
    if (what.includes('closed')) await close()
    if (what === 'beside another run label') await forge.label(issue, 'run:qa')
    const place =
      what === 'on an issue without a pull request' ? await forge.issue() : what.startsWith('on a ') ? pull : issue
    const label = what === 'for a stage that is not there' ? 'run:qa:revise' : LABEL
    const by = what === 'by somebody who may not write' ? 'theo' : 'maria'
    expect(await take(await forge.label(place, label, by))).toMatchObject({ outcome: `refused: ${reason}` })
    const [run] = await asked()
    expect(run).toMatchObject({ state: 'refused', reason, subject_number: place })
    expect(await saidOf(db, run?.id ?? '')).toEqual(['request.refused'])
  })

  test('when somebody pushed after the review, or after the label on the pull request was set', async ({ db }) => {
    const { take, asked, pull, push } = await setup(db)
    const [review, label] = [await forge.review(pull), await forge.label(pull, LABEL)]
    await push()
    expect(await take(review)).toMatchObject({ outcome: 'refused: stale_head' })
    expect(await take(label)).toMatchObject({ outcome: 'refused: stale_head' })
    expect((await asked()).map(({ reason }) => reason)).toEqual(['stale_head', 'stale_head'])
  })

  test('when the review was rewritten after it was sent', async ({ db }) => {
    const { take, pull } = await setup(db)
    const body = await forge.review(pull, 'Not yet.')
    if (body.review) body.review.body = 'Something else.'
    expect(await take(body)).toMatchObject({ outcome: 'refused: stale_content' })
  })

  test('and people are asked when labels of the pull request name two stages', async ({ db }) => {
    const { take, asked, pull } = await setup(db)
    await forge.label(pull, 'run:qa')
    await forge.label(pull, LABEL)
    expect(await take(await forge.review(pull))).toMatchObject({ outcome: 'refused: stage_undecided' })
    expect(await asked()).toMatchObject([{ reason: 'stage_undecided', subject_number: pull }])
  })
})

describe('a review starts nothing', () => {
  test.for(['theo', 'eve', 'helper-bot', 'the App'])('of %s, who may not ask', async (login, { db }) => {
    const { take, asked, pull, project } = await setup(db)
    const body = await forge.review(pull)
    const senders: Record<string, typeof body.sender> = {
      theo: { id: 1002, login: 'theo', type: 'User' },
      eve: { id: 1003, login: 'eve', type: 'User' },
      'helper-bot': { id: 1005, login: 'helper-bot', type: 'Bot' },
      'the App': { id: Number(project.own_actor_id), login: 'codex-k8s[bot]', type: 'Bot' },
    }
    body.sender = senders[login] ?? body.sender
    expect(await take(body)).toMatchObject({ status: 202, outcome: expect.stringMatching(/^ignored: /) as string })
    expect(await asked()).toEqual([])
  })

  test('on a pull request that is not ours', async ({ db }) => {
    const { take, asked, pull } = await setup(db)
    await db.updateTable('changes').set({ pull_number: null }).execute()
    await db.updateTable('projects').set({ own_actor_id: '4242' }).execute()
    expect(await take(await forge.review(pull))).toMatchObject({ outcome: 'ignored: the pull request is not ours' })
    expect(await asked()).toEqual([])
  })

  test('as long as the pull request is ours and not recorded; then it does', async ({ db }) => {
    const { take, post, asked, pull } = await setup(db)
    await db.updateTable('changes').set({ pull_number: null }).execute()
    expect((await take(await forge.review(pull))).status).toBe(503)
    await db.updateTable('changes').set({ pull_number: pull }).execute()
    const [{ id } = { id: '' }] = await db.selectFrom('outbox').select('id').execute()
    await post(id)
    expect(await asked()).toMatchObject([{ state: 'queued' }])
  })
})

describe('a revision that waits', () => {
  async function waiting(db: Db, by: 'review' | 'label') {
    const all = await setup(db)
    await all.take(by === 'review' ? await forge.review(all.pull) : await forge.label(all.pull, LABEL))
    const [run] = await all.asked()
    if (run === undefined) throw new Error('no run')
    const due = async () => all.post(await say(db, EVENT_TYPES.stageDue, run))
    return { ...all, run, due }
  }

  test.for(['review', 'label'] as const)('by %s goes on when nothing has changed', async (by, { db }) => {
    const { due } = await waiting(db, by)
    expect(await due()).toMatchObject({ outcome: 'still wanted' })
  })

  test('is cancelled when somebody pushed, closed the pull request, or took the label off', async ({ db }) => {
    const { due, run, push } = await waiting(db, 'review')
    await push()
    expect(await due()).toMatchObject({ outcome: 'cancels: stale_head' })
    expect(await runNow(db, run.id)).toMatchObject({ state: 'cancelled', reason: 'stale_head' })
  })

  test('is cancelled when its pull request was closed', async ({ db }) => {
    const { due, close } = await waiting(db, 'review')
    await close()
    expect(await due()).toMatchObject({ outcome: 'cancels: pull_request_closed' })
  })

  test('by label is cancelled when the label is taken off the pull request; one by review is not', async ({ db }) => {
    const { run, take, pull } = await waiting(db, 'label')
    const off = await forge.unlabel(pull, LABEL)
    expect(await take(off)).toMatchObject({ outcome: 'cancels: label_removed' })
    expect(await runNow(db, run.id)).toMatchObject({ state: 'cancelled', reason: 'label_removed' })

    await take(await forge.review(pull))
    await forge.label(pull, LABEL)
    expect(await take(await forge.unlabel(pull, LABEL))).toMatchObject({ outcome: 'cancels: label_removed' })
    const active = await db.selectFrom('runs').select('label_event_id').where('state', '=', 'queued').execute()
    expect(active).toMatchObject([{ label_event_id: expect.stringMatching(/^review-/) as string }])
  })

  test('is not cancelled by taking the label of its stage off the issue', async ({ db }) => {
    const { run, take, issue } = await waiting(db, 'review')
    await forge.label(issue, 'run:dev')
    await take(await forge.unlabel(issue, 'run:dev'))
    expect((await runNow(db, run.id)).state).toBe('queued')
  })
})
