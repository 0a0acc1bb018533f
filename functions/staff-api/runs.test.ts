import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import type { Db } from '#shared/db/connect.ts'
import type { Row } from '#shared/db/schema.ts'
import { addAttempt, addProject, addRun, runNow, saidOf } from '#shared/run/testing/rows.ts'
import { staff } from './testing/staff.ts'
import { test } from './testing/test.ts'

interface Shown {
  readonly id: string
  readonly state: string
  readonly retryOf: string | null
  readonly reason: { readonly code: string } | null
}

/** A run that failed, with what the forge does not know of it. */
async function failedRun(db: Db, more: Partial<Row<'runs'>> = {}, manifest = {}) {
  const project = await addProject(db)
  const run = await addRun(db, project, {
    state: 'failed',
    manifest,
    columns: { reason: 'agent_lost', ...more },
  })
  return { project, run }
}

describe('runs', () => {
  test('a list comes newest first, in parts, filtered', async ({ db }) => {
    const { call } = await staff(db)
    const project = await addProject(db)
    const made = []
    for (let each = 0; each < 5; each += 1) made.push(await addRun(db, project, { state: 'succeeded' }))
    // Two at the same time: the id decides.
    await db
      .updateTable('runs')
      .set({ created_at: sql`now()` })
      .execute()
    const other = await addRun(db, await addProject(db), { state: 'running' })
    const seen: string[] = []
    let path = `/v1/runs?project=${project.id}&limit=2`
    for (let cursor: string | null = ''; cursor !== null;) {
      const { json } = await call('GET', cursor === '' ? path : `${path}&cursor=${cursor}`)
      seen.push(...(json['runs'] as Shown[]).map(({ id }) => id))
      cursor = json['next'] as string | null
    }
    expect(seen).toEqual(
      made
        .map(({ id }) => id)
        .toSorted()
        .toReversed(),
    )
    path = '/v1/runs?state=running'
    expect(((await call('GET', path)).json['runs'] as Shown[]).map(({ id }) => id)).toEqual([other.id])
  })

  test('a run is shown with its attempts and Jobs, tokens, events and links', async ({ db }) => {
    const { call } = await staff(db)
    const { run } = await failedRun(db)
    await addAttempt(db, run.id, { state: 'lost', finished_at: new Date() })
    await db.insertInto('intents').values({ kind: 'job', name: 'run-1', run_id: run.id, attempt: 1 }).execute()
    const { status, json } = await call('GET', `/v1/runs/${run.id}`)
    expect(status).toBe(200)
    expect(json).toMatchObject({
      run: { id: run.id, reason: { code: 'agent_lost' }, repository: 'acme/shop', change: { base: '0'.repeat(40) } },
      tokens: { charged: 0, budget: 100_000 },
      attempts: [{ attempt: 1, state: 'lost', job: 'run-1' }],
      approval: null,
    })
  })

  test('lines of an agent are followed to the end', async ({ db }) => {
    const { call } = await staff(db)
    const run = await addRun(db, await addProject(db))
    const { attempt } = await addAttempt(db, run.id)
    const line = (sequence: number) => ({ run_id: run.id, attempt, sequence, kind: 'message', text: `${sequence}` })
    await db
      .insertInto('progress')
      .values([line(1), line(2), line(3)])
      .execute()
    const first = await call('GET', `/v1/runs/${run.id}/logs?limit=2`)
    expect(first.json).toMatchObject({ lines: [{ text: '1' }, { text: '2' }], over: false })
    const rest = await call('GET', `/v1/runs/${run.id}/logs?cursor=${String(first.json['next'])}`)
    expect(rest.json).toMatchObject({ lines: [{ text: '3' }] })
    const none = await call('GET', `/v1/runs/${run.id}/logs?cursor=${String(rest.json['next'])}`)
    expect(none.json).toMatchObject({ lines: [], next: rest.json['next'] })
    await db.updateTable('runs').set({ state: 'failed', reason: 'agent_lost' }).execute()
    expect((await call('GET', `/v1/runs/${run.id}/logs`)).json).toMatchObject({ over: true })
  })
})

describe('cancel', () => {
  test('a run ends as if its label had been taken off, once, and the ledger hears who did it', async ({ db }) => {
    const { call, acts, grant } = await staff(db)
    const project = await addProject(db)
    const run = await addRun(db, project)
    await addAttempt(db, run.id)
    await grant('olga', 'operator', project.id)
    const path = `/v1/runs/${run.id}/cancel`
    const body = { reason: 'too\ndear' }
    const answers = await Promise.all([1, 2, 3].map(() => call('POST', path, { as: 'olga', body })))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
    expect(answers.filter(({ json }) => json['changed'] === true)).toHaveLength(1)
    expect(await runNow(db, run.id)).toMatchObject({
      state: 'cancelled',
      reason: 'cancelled_by_staff',
      detail: 'too dear',
    })
    expect(await db.selectFrom('attempts').select('state').execute()).toEqual([{ state: 'stopped' }])
    expect(await saidOf(db, run.id)).toEqual(['run.cancelled', 'staff.acted'])
    expect(await acts()).toEqual([{ by: 'olga', action: 'run.cancelled' }])
  })

  test('a run that has ended stays as it is', async ({ db }) => {
    const { call, acts } = await staff(db)
    const { run } = await failedRun(db)
    expect(await call('POST', `/v1/runs/${run.id}/cancel`)).toMatchObject({ status: 409, code: 'run_over' })
    expect(await runNow(db, run.id)).toEqual(run)
    expect(await acts()).toEqual([])
  })
})

describe('retry', () => {
  test('a failed run gets one other run with the same input, however often it is asked for', async ({ db }) => {
    const { call, acts } = await staff(db)
    const { run } = await failedRun(db)
    const path = `/v1/runs/${run.id}/retry`
    const answers = await Promise.all([1, 2, 3, 4].map(() => call('POST', path)))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
    const runs = answers.map(({ json }) => json['run'] as Shown)
    expect(new Set(runs.map(({ id }) => id)).size).toBe(1)
    expect(answers.filter(({ json }) => json['changed'] === true)).toHaveLength(1)
    expect(runs[0]).toMatchObject({ state: 'queued', retryOf: run.id })
    const again = await runNow(db, runs[0]?.id ?? '')
    const { bundle_digest, change_id, requester_id, requested_at, stage } = run
    expect(again).toMatchObject({ bundle_digest, change_id, requester_id, requested_at, stage })
    // The router looks before it starts: it was judged long ago.
    expect(again.judged_at.getTime()).toBeLessThan(run.judged_at.getTime() - 3_600_000)
    expect(await runNow(db, run.id)).toEqual(run)
    expect(await saidOf(db, again.id)).toEqual(['stage.approved'])
    expect(await acts()).toEqual([{ by: 'root', action: 'run.retried', run: again.id }])
  })

  test('P-3 with a gate the retry waits for an approval of its own', async ({ db }) => {
    const { call } = await staff(db)
    const gate = {
      users: [],
      permission: 'write',
      quorum: 1,
      excludeRequester: true,
      excludeAuthor: true,
      label: null,
      expiresAfterSeconds: 60,
    }
    const { run } = await failedRun(db, {}, { gate })
    const { json } = await call('POST', `/v1/runs/${run.id}/retry`)
    const again = json['run'] as Shown
    expect(again.state).toBe('waiting_approval')
    expect(await saidOf(db, again.id)).toEqual(['stage.requested'])
  })

  test('what stands against it is said, and nothing is made', async ({ db }) => {
    const { call } = await staff(db)
    const retry = (id: string) => call('POST', `/v1/runs/${id}/retry`)
    const { run: refused } = await failedRun(db, { reason: 'secret_found' })
    expect(await retry(refused.id)).toMatchObject({ status: 409, code: 'not_retryable' })
    const { run: done } = await failedRun(db, { state: 'succeeded', reason: null })
    expect(await retry(done.id)).toMatchObject({ status: 409, code: 'not_failed' })

    const { project, run } = await failedRun(db)
    const { subject_id, subject_number } = run
    const next = await addRun(db, project, { state: 'running', columns: { subject_id, subject_number } })
    expect(await retry(run.id)).toMatchObject({ status: 409, code: 'run_active' })
    await db.updateTable('runs').set({ state: 'succeeded' }).where('id', '=', next.id).execute()
    expect(await retry(run.id)).toMatchObject({ status: 409, code: 'newer_run' })
    await db.updateTable('projects').set({ state: 'disconnected' }).execute()
    expect(await retry(run.id)).toMatchObject({ status: 409, code: 'not_connected' })
    const { count } = await db
      .selectFrom('runs')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .executeTakeFirstOrThrow()
    expect(count).toBe(4)
  })
})
