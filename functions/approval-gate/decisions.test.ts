import { describe, expect } from 'vitest'
import type { Db } from '#shared/db/connect.ts'
import { transaction } from '#shared/db/transaction.ts'
import { keptLog } from '#shared/edge/testing/post.ts'
import { endRun } from '#shared/run/transition.ts'
import { gates } from './testing/gate.ts'
import { test } from './testing/test.ts'

const { forge, gate } = gates()

/** Somebody else with write access, besides walt. */
async function another(login: string): Promise<void> {
  await forge.control('POST', '/users', { login, token: `${login}-token` })
  await forge.person('PUT', `/repos/maria/shop/collaborators/${login}`, { permission: 'push' })
}

const rowsOf = async (db: Db, type: string) => {
  const { record } = await db
    .selectFrom('outbox')
    .select('record')
    .where('type', '=', `dev.codex-k8s.${type}.v1`)
    .orderBy('seq', 'desc')
    .executeTakeFirstOrThrow()
  return record['rows'] as Record<string, Record<string, unknown>[]>
}

describe('a comment', () => {
  test('of somebody who may lets exactly this run go on, once, and the event holds every changed row', async ({
    db,
  }) => {
    const world = await gate(db)
    expect(await world.comment('walt', `/approve ${world.short}`)).toMatchObject({
      state: 'done',
      outcome: 'approve: approved',
    })
    expect(await world.runNow()).toMatchObject({ state: 'queued', version: 2 })
    expect(await world.approval()).toMatchObject({ state: 'approved', consumed_at: null })
    expect(await world.said()).toEqual(['approval.requested', 'stage.approved'])
    const rows = await rowsOf(db, 'stage.approved')
    expect(rows['runs']).toMatchObject([{ id: world.run.id, state: 'queued' }])
    expect(rows['approvals']).toMatchObject([{ state: 'approved', bundle_digest: world.digest }])
    expect(rows['decisions']).toMatchObject([{ actor_id: '1004', decision: 'approve', refusal: null }])
    expect(await world.comment('walt', `/approve ${world.short}`)).toMatchObject({
      outcome: 'does not count: decided',
    })
    expect((await world.runNow()).version).toBe(2)
  })

  test('that denies cancels the run and says why', async ({ db }) => {
    const world = await gate(db)
    await world.comment('walt', '/deny not before the release')
    expect(await world.runNow()).toMatchObject({
      state: 'cancelled',
      reason: 'approval_denied',
      detail: 'not before the release',
    })
    expect((await world.approval()).state).toBe('denied')
    expect(await world.said()).toEqual(['approval.requested', 'stage.denied', 'run.cancelled'])
  })

  test.for([
    ['maria', 'self_approval', 'P-1'],
    ['theo', 'not_eligible', 'L4'],
    ['eve', 'not_eligible', 'P-8'],
    ['helper-bot', 'bot', 'P-2'],
  ] as const)('%s: %s (%s), kept and told, and the run goes on waiting', async ([who, refusal], { db }) => {
    const world = await gate(db)
    expect(await world.comment(who, `/approve ${world.short}`)).toMatchObject({
      state: 'done',
      outcome: `does not count: ${refusal}`,
    })
    expect((await world.runNow()).state).toBe('waiting_approval')
    expect(await world.decisions()).toMatchObject([{ actor_login: who, refusal, state: 'pending' }])
    expect(await world.said()).toEqual(['approval.requested', 'decision.recorded'])
    expect((await rowsOf(db, 'decision.recorded'))['decisions']).toMatchObject([{ refusal }])
  })

  test('P-1 of the author of the issue does not count, though somebody else asked', async ({ db }) => {
    const world = await gate(db, { author: 'walt' })
    expect((await world.comment('walt', `/approve ${world.short}`)).outcome).toBe('does not count: self_approval')
    const open = await gate(db, { author: 'walt', policy: { excludeAuthor: false }, columns: { stage: 'qa' } })
    expect((await open.comment('walt', `/approve ${open.short}`)).outcome).toBe('approve: approved')
  })

  test('P-2 that a program wrote in a person’s name does not count', async ({ db }) => {
    const world = await gate(db)
    const viaApp = (event: object) => {
      const { comment } = event as { comment: object }
      return { ...event, comment: { ...comment, performed_via_github_app: { id: 7 } } }
    }
    expect((await world.comment('walt', `/approve ${world.short}`, viaApp)).outcome).toBe('does not count: bot')
  })

  test('P-3 is bound to the digest: another one, and one that is too short, approve nothing', async ({ db }) => {
    const world = await gate(db)
    const other = world.short.startsWith('0') ? '1'.repeat(12) : '0'.repeat(12)
    expect((await world.comment('walt', `/approve ${other}`)).outcome).toBe('does not count: wrong_digest')
    expect((await world.comment('walt', `/approve ${world.digest.slice(0, 11)}`)).outcome).toBe('ignored: no command')
    expect((await world.runNow()).state).toBe('waiting_approval')
    expect((await world.comment('walt', `/approve ${world.digest}`)).outcome).toBe('approve: approved')
  })

  test('P-3 about a text that was changed since approves nothing: the run is cancelled, to be asked for again', async ({
    db,
  }) => {
    const world = await gate(db)
    await forge.person('PATCH', `${forge.issues}/${world.issue.number}`, { body: 'Please, and delete everything.' })
    expect((await world.comment('walt', `/approve ${world.short}`)).outcome).toBe('does not count: stale')
    expect(await world.runNow()).toMatchObject({ state: 'cancelled', reason: 'stale_content' })
    expect((await world.approval()).state).toBe('stale')
    const rows = await rowsOf(db, 'decision.recorded')
    expect(rows['approvals']).toMatchObject([{ state: 'stale' }])
  })

  test('P-3 about a change that was pushed to since approves nothing', async ({ db }) => {
    const branch = `agent/${Date.now()}`
    const { object: main } = await forge.person<{ object: { sha: string } }>(
      'GET',
      '/repos/maria/shop/git/ref/heads/main',
    )
    const commit = async (content: string, parent: string) => {
      const entry = { path: 'a.txt', mode: '100644', type: 'blob', content }
      const tree = await forge.person<{ sha: string }>('POST', '/repos/maria/shop/git/trees', { tree: [entry] })
      const made = { message: 'x', tree: tree.sha, parents: [parent] }
      return (await forge.person<{ sha: string }>('POST', '/repos/maria/shop/git/commits', made)).sha
    }
    const head = await commit('1', main.sha)
    await forge.person('POST', '/repos/maria/shop/git/refs', { ref: `refs/heads/${branch}`, sha: head })
    const pull = await forge.person<{ number: number }>('POST', '/repos/maria/shop/pulls', {
      title: 'x',
      head: branch,
      base: 'main',
    })
    const revise = {
      change: '6f9b1c9e-0000-4000-8000-000000000001',
      pull: pull.number,
      head,
      asked: { by: 'label', on: pull.number },
      rule: 'label',
      review: 'a'.repeat(64),
      session: null,
    } as const
    const world = await gate(db, { revise, policy: { quorum: 2 } })
    expect((await world.comment('walt', `/approve ${world.short}`)).outcome).toBe('approve: pending')
    const pushed = await commit('2', head)
    await forge.person('PATCH', `/repos/maria/shop/git/refs/heads/${branch}`, { sha: pushed })
    await another('nina')
    expect((await world.comment('nina', `/approve ${world.short}`)).outcome).toBe('does not count: stale')
    expect(await world.runNow()).toMatchObject({ state: 'cancelled', reason: 'stale_head' })
  })

  test('P-8 by the same person again counts once; another person fills the quorum', async ({ db }) => {
    await another('jonas')
    const world = await gate(db, { policy: { quorum: 2 } })
    expect((await world.comment('walt', `/approve ${world.short}`)).outcome).toBe('approve: pending')
    expect((await world.comment('walt', `/approve ${world.short}`)).outcome).toBe('does not count: already_counted')
    expect((await world.runNow()).state).toBe('waiting_approval')
    expect((await world.comment('jonas', `/approve ${world.short}`)).outcome).toBe('approve: approved')
    expect((await world.runNow()).state).toBe('queued')
  })

  test('P-8 of somebody who lost the right meanwhile does not count when the last one decides', async ({ db }) => {
    await another('lena')
    await another('paul')
    const world = await gate(db, { policy: { quorum: 2 } })
    await world.comment('lena', `/approve ${world.short}`)
    await forge.person('PUT', '/repos/maria/shop/collaborators/lena', { permission: 'pull' })
    expect((await world.comment('walt', `/approve ${world.short}`)).outcome).toBe('approve: pending')
    expect((await world.comment('paul', `/approve ${world.short}`)).outcome).toBe('approve: approved')
  })

  test('of one who approved before still denies', async ({ db }) => {
    const world = await gate(db, { policy: { quorum: 2 } })
    await world.comment('walt', `/approve ${world.short}`)
    expect((await world.comment('walt', '/deny on second thoughts')).outcome).toBe('deny: denied')
    expect((await world.runNow()).reason).toBe('approval_denied')
  })

  test('P-6 after the time is over approves nothing, and ends the wait', async ({ db }) => {
    const world = await gate(db)
    await world.expire()
    expect((await world.comment('walt', `/approve ${world.short}`)).outcome).toBe('does not count: expired')
    expect(await world.runNow()).toMatchObject({ state: 'cancelled', reason: 'approval_expired' })
    expect(await world.said()).toEqual(['approval.requested', 'approval.expired', 'run.cancelled', 'decision.recorded'])
  })

  test.for([
    ['quoted', (short: string) => `> /approve ${short}`],
    ['in a code block', (short: string) => `\`\`\`\n/approve ${short}\n\`\`\``],
    ['indented, which is a code block', (short: string) => `    /approve ${short}`],
    ['with a line before it', (short: string) => `Fine.\n/approve ${short}`],
    ['with a line after it', (short: string) => `/approve ${short}\nFine.`],
    ['in capitals', (short: string) => `/APPROVE ${short}`],
    ['with two digests', (short: string) => `/approve ${short} ${short}`],
    ['with a look-alike letter', (short: string) => `/\u0430pprove ${short}`],
  ] as const)('P-11 %s is nothing', async ([, body], { db }) => {
    const world = await gate(db)
    expect((await world.comment('walt', body(world.short))).outcome).toBe('ignored: no command')
    expect(await world.decisions()).toEqual([])
  })

  test('P-11 that was edited or taken back since is nothing', async ({ db }) => {
    const world = await gate(db)
    const comments = `${forge.issues}/${world.issue.number}/comments`
    const [edited, deleted] = [
      await forge.person<Parameters<typeof world.commented>[0]>('POST', comments, { body: 'Looks good.' }, 'walt'),
      await forge.person<Parameters<typeof world.commented>[0]>(
        'POST',
        comments,
        { body: `/approve ${world.short}` },
        'walt',
      ),
    ]
    await forge.person('DELETE', `/repos/maria/shop/issues/comments/${deleted.id}`, undefined, 'walt')
    expect((await world.commented({ ...edited, body: `/approve ${world.short}` })).outcome).toBe(
      'ignored: the comment was edited',
    )
    expect((await world.commented(deleted)).outcome).toBe('ignored: the comment is gone')
    expect((await world.runNow()).state).toBe('waiting_approval')
  })

  test('where nothing was to be approved is nothing, and asks the forge nothing', async ({ db }) => {
    const world = await gate(db)
    await db.deleteFrom('approvals').execute()
    expect((await world.comment('walt', `/approve ${world.short}`)).outcome).toBe(
      'ignored: nothing was to be approved here',
    )
  })

  test('of one who floods is answered each time and kept five times', async ({ db }) => {
    const world = await gate(db)
    for (let time = 0; time < 7; time += 1) await world.comment('eve', `/approve ${world.short}`)
    expect(await world.decisions()).toHaveLength(5)
    expect((await world.comment('walt', `/approve ${world.short}`)).outcome).toBe('approve: approved')
  })

  test('while the forge does not answer decides nothing and comes again', async ({ db }) => {
    const world = await gate(db)
    await forge.fault('GET', 'collaborators/walt/permission', { status: 500 }, 5)
    const answer = await world.comment('walt', `/approve ${world.short}`)
    expect(answer).toMatchObject({ status: 503, state: 'pending' })
    expect((await world.runNow()).state).toBe('waiting_approval')
    await forge.control('DELETE', '/faults')
    await world.sweep()
    expect((await world.runNow()).state).toBe('queued')
  })

  test('after the run was cancelled for another reason is too late: its approval was withdrawn', async ({ db }) => {
    const world = await gate(db)
    const end = { state: 'cancelled', type: 'dev.codex-k8s.run.cancelled.v1', reason: 'label_removed' } as const
    await transaction(db, (tx) => endRun({ tx, emit: async () => {} }, world.run.id, end))
    expect((await world.approval()).state).toBe('withdrawn')
    expect((await world.comment('walt', `/approve ${world.short}`)).outcome).toBe('does not count: decided')
    expect((await world.runNow()).state).toBe('cancelled')
  })
})

describe('the API', () => {
  test('C14 the same key is the same answer, and another body under it is refused', async ({ db }) => {
    const world = await gate(db)
    const approve = { decision: 'approve', digest: world.digest }
    const first = await world.api('walt', approve)
    expect(first).toMatchObject({ status: 200, body: { state: 'approved', approvals: 1, quorum: 1 } })
    expect(await world.api('walt', approve)).toEqual(first)
    expect(await world.api('walt', { ...approve, reason: 'fine' })).toMatchObject({
      status: 409,
      body: { code: 'key_reused' },
    })
    expect(await world.api('walt', approve, { key: 'k2' })).toMatchObject({
      status: 409,
      body: { code: 'decided', state: 'approved' },
    })
    expect((await world.runNow()).version).toBe(2)
  })

  test("C14 a key belongs to a person: somebody else's same key is a decision of its own", async ({ db }) => {
    const world = await gate(db, { policy: { quorum: 2 } })
    const approve = { decision: 'approve', digest: world.short }
    expect((await world.api('walt', approve)).body).toMatchObject({ state: 'pending', approvals: 1 })
    expect(await world.api('eve', approve)).toMatchObject({ status: 403, body: { code: 'not_eligible' } })
  })

  test.for([
    ['maria', 403, 'self_approval'],
    ['theo', 403, 'not_eligible'],
    ['helper-bot', 403, 'bot'],
    ['nobody', 401, 'unauthorized'],
  ] as const)('P-1 P-2 %s: %i %s', async ([who, status, code], { db }) => {
    const world = await gate(db)
    const answer = await world.api(who, { decision: 'approve', digest: world.digest })
    expect(answer).toMatchObject({ status, body: { code } })
    expect((await world.runNow()).state).toBe('waiting_approval')
  })

  test("P-2 our App's own token is no person", async ({ db }) => {
    const world = await gate(db)
    const ref = { fullName: 'maria/shop', repositoryId: forge.repositoryId(), installationId: null }
    const authorization = `Bearer ${await forge.github().token(ref)}`
    const body = { decision: 'approve', digest: world.digest }
    expect(await world.api('walt', body, { headers: { authorization } })).toMatchObject({
      status: 403,
      body: { code: 'bot' },
    })
  })

  test('P-5 an approval of one run is none of another', async ({ db }) => {
    const world = await gate(db)
    const other = await gate(db, { columns: { stage: 'qa' } })
    expect(await world.api('walt', { decision: 'approve', digest: world.digest }, { to: other.run.id })).toMatchObject({
      status: 409,
      body: { code: 'wrong_digest' },
    })
    expect((await world.runNow()).state).toBe('waiting_approval')
    expect((await other.runNow()).state).toBe('waiting_approval')
  })

  test('P-7 only a POST of JSON decides', async ({ db }) => {
    const world = await gate(db)
    const body = { decision: 'approve', digest: world.digest }
    const url = `http://gate/v1/runs/${world.run.id}/decisions`
    const headers = { authorization: 'Bearer walt-token', 'idempotency-key': 'k', 'content-type': 'application/json' }
    for (const method of ['GET', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
      expect((await world.app.fetch(new Request(url, { method, headers }))).status).toBe(405)
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', ''])
      expect((await world.api('walt', body, { headers: { 'content-type': type } })).status).toBe(415)
    const cross = await world.app.fetch(
      new Request(url, { method: 'OPTIONS', headers: { origin: 'https://evil.example' } }),
    )
    expect([...cross.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([])
    expect((await world.runNow()).state).toBe('waiting_approval')
  })

  test.for([
    [{ decision: 'approve' }, 422],
    [{ decision: 'approve', digest: 'abc' }, 422],
    [{ decision: 'approve', digest: 'A'.repeat(12) }, 422],
    [{ decision: 'maybe', digest: 'a'.repeat(12) }, 422],
    [{ decision: 'deny', digest: 'a'.repeat(12) }, 422],
    [{ decision: 'deny', digest: 'a'.repeat(12), reason: 'two\nlines' }, 422],
    [{ decision: 'deny', digest: 'a'.repeat(12), reason: '\u0000' }, 422],
    [{ decision: 'deny', digest: 'a'.repeat(12), reason: '\ud800' }, 422],
    [{ decision: 'approve', digest: 'a'.repeat(12), more: 1 }, 422],
    [{ decision: 'approve', digest: 'a'.repeat(12), reason: 'x'.repeat(501) }, 422],
    [[], 422],
  ] as const)('a body of %j is answered %i', async ([body, status], { db }) => {
    const world = await gate(db)
    expect((await world.api('walt', body)).status).toBe(status)
    expect(await world.decisions()).toEqual([])
  })

  test('without a key, and for a run that is none, it says so', async ({ db }) => {
    const world = await gate(db)
    const body = { decision: 'approve', digest: world.digest }
    expect(await world.api('walt', body, { key: '' })).toMatchObject({
      status: 400,
      body: { code: 'idempotency_key_missing' },
    })
    expect((await world.api('walt', body, { to: 'x' })).status).toBe(404)
    expect((await world.api('walt', body, { to: '6f9b1c9e-0000-4000-8000-000000000001' })).status).toBe(404)
  })

  test('shows what is to be approved to those who may read the repository', async ({ db }) => {
    const world = await gate(db)
    const url = `http://gate/v1/runs/${world.run.id}/approval`
    const show = (token: string) => world.app.fetch(new Request(url, { headers: { authorization: `Bearer ${token}` } }))
    expect((await show('nobody-token')).status).toBe(401)
    expect(await (await show('eve-token')).json()).toMatchObject({
      state: 'pending',
      digest: world.digest,
      content: { title: 'Say hello', body: 'Please.' },
      manifest: { stage: 'dev' },
      decisions: [],
    })
  })

  test("a person's token is used for one question and is nowhere afterwards", async ({ db }) => {
    const { log, lines } = keptLog()
    const world = await gate(db, { log })
    await world.api('walt', { decision: 'approve', digest: world.digest })
    await forge.fault('GET', '^/user$', { status: 500 })
    const failed = await world.api('walt', { decision: 'approve', digest: world.digest }, { key: 'k2' })
    expect(failed.status).toBe(503)
    const tables = await Promise.all([
      db.selectFrom('outbox').selectAll().execute(),
      db.selectFrom('decisions').selectAll().execute(),
      db.selectFrom('deliveries').selectAll().execute(),
    ])
    for (const text of [JSON.stringify(tables), lines.join('\n'), JSON.stringify(failed)])
      expect(text).not.toContain('walt-token')
  })
})

describe('the sweep', () => {
  test('P-6 ends the wait of what nobody approved in time, once', async ({ db }) => {
    const world = await gate(db)
    await world.sweep()
    expect((await world.runNow()).state).toBe('waiting_approval')
    await world.expire()
    await Promise.all([world.sweep(), world.sweep()])
    expect(await world.runNow()).toMatchObject({ state: 'cancelled', reason: 'approval_expired' })
    expect(await world.said()).toEqual(['approval.requested', 'approval.expired', 'run.cancelled'])
    expect((await rowsOf(db, 'approval.expired'))['approvals']).toMatchObject([{ state: 'expired' }])
  })

  test('P-6 ends the wait of what was approved and did not start a minute after the time was over', async ({ db }) => {
    const world = await gate(db)
    await world.comment('walt', `/approve ${world.short}`)
    await world.expire(50)
    await world.sweep()
    expect((await world.runNow()).state).toBe('queued')
    await world.expire(61)
    await world.sweep()
    expect(await world.runNow()).toMatchObject({ state: 'cancelled', reason: 'approval_expired' })
  })
})
