import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { rememberHook } from '#shared/project/connect.ts'
import { runsByLabelEvent, startAway, type Away } from '../support/away.ts'
import { test } from '../support/database.ts'
import { eventually } from '../support/wait.ts'

/** Nobody knows the hook's id at the forge: its list cannot be read. */
const withoutList = ({ db }: Away) => sql`delete from hook_checks`.execute(db)

const runsOf = ({ db }: Away) =>
  db
    .selectFrom('runs')
    .select(['subject_number', 'state', 'reason', 'requester_login'])
    .orderBy('subject_number')
    .execute()

const foundOf = ({ db }: Away) =>
  db.selectFrom('outbox').select('event_id').where('type', '=', 'dev.codex-k8s.label.found.v1').execute()

/** The scan writes an event; the next round handles it, as the broker would have at once. */
async function scan(away: Away): Promise<void> {
  await away.later()
  await away.sweep()
  await away.sweep()
}

async function requestsTo(away: Away, path: RegExp): Promise<string[]> {
  const requests = await away.ledger('request')
  return requests.map(({ method, path: at }) => `${String(method)} ${String(at)}`).filter((one) => path.test(one))
}

describe('a label that no delivery told of', () => {
  test('is run with the text of now, if nobody changed it since', async ({ databaseUrl }) => {
    const away = await startAway(databaseUrl)
    await withoutList(away)
    const [same, body, title, pulled] = [await away.issue(), await away.issue(), await away.issue(), await away.issue()]
    for (const issue of [same, body, title, pulled]) await away.label(issue)
    await away.person('PATCH', `/repos/maria/shop/issues/${body}`, { body: 'Something else.' })
    await away.person('PATCH', `/repos/maria/shop/issues/${title}`, { title: 'Something else' })
    await away.person('PATCH', `/repos/maria/shop/issues/${pulled}`, { state: 'closed' })
    await scan(away)
    const maria = { requester_login: 'maria' }
    expect(await runsOf(away)).toEqual([
      { subject_number: same, state: 'queued', reason: null, ...maria },
      { subject_number: body, state: 'refused', reason: 'stale_content', ...maria },
      { subject_number: title, state: 'refused', reason: 'stale_content', ...maria },
    ])
    const blob = await sql<{ text: string }>`
      select convert_from(bytes, 'UTF8') as text from runs join bundles on bundles.digest = bundle_digest
      join blobs on blobs.digest = manifest->>'content'`.execute(away.db)
    expect(JSON.parse(blob.rows[0]?.text ?? '')).toEqual({ title: 'Say hello', body: 'Please.', comments: [] })
  })

  test('is found once, however often it is looked for and however it comes after all', async ({ databaseUrl }) => {
    const away = await startAway(databaseUrl)
    await withoutList(away)
    await away.label(await away.issue())
    await away.quiet()
    await scan(away)
    await scan(away)
    expect(await foundOf(away)).toHaveLength(1)
    await sql`update label_scans set scanned_until = now() - interval '1 day'`.execute(away.db)
    await away.db.deleteFrom('runs').execute()
    await scan(away)
    expect(await foundOf(away)).toHaveLength(1)

    // Then the hook's id becomes known, and the forge still has the deliveries.
    await sql`update label_scans set scanned_until = now() - interval '1 day'`.execute(away.db)
    await rememberHook(away.db, away.connected, String(away.hookId))
    await sql`update hook_checks set checked_until = now() - interval '1 day'`.execute(away.db)
    await away.gateway.start()
    await away.later()
    await away.catchUp(3)
    const { events, runs } = await runsByLabelEvent(away)
    expect(runs).toEqual(events)
  })

  test('is left alone while its delivery is on its way', async ({ databaseUrl }) => {
    const away = await startAway(databaseUrl)
    await away.gateway.start()
    await withoutList(away)
    await away.label(await away.issue())
    await away.quiet()
    await sql`update deliveries set due_at = now() - interval '1 ms' + interval '1 hour'`.execute(away.db)
    await scan(away)
    expect([await foundOf(away), await runsOf(away)]).toEqual([[], []])
    await sql`update deliveries set due_at = now() - interval '1 ms'`.execute(away.db)
    await away.catchUp(2)
    expect(await runsOf(away)).toHaveLength(1)
  })

  test("counts by the project's own name, from people who may ask, and not if it is ours", async ({ databaseUrl }) => {
    const away = await startAway(databaseUrl)
    await withoutList(away)
    const settings = JSON.stringify({ labels: { 'run:dev': 'make it' } })
    await away.db.updateTable('projects').set({ settings }).execute()
    const [renamed, plain, theos] = [await away.issue(), await away.issue(), await away.issue()]
    const set = (issue: number, label: string, login?: string) =>
      away.person('POST', `/repos/maria/shop/issues/${issue}/labels`, { labels: [label] }, login)
    await set(renamed, 'make it')
    await set(plain, 'run:dev')
    await set(plain, 'bug')
    await set(theos, 'make it', 'theo')
    await scan(away)
    expect((await runsOf(away)).map(({ subject_number, state, reason }) => [subject_number, state, reason])).toEqual([
      [renamed, 'queued', null],
      [theos, 'refused', 'actor_not_allowed'],
    ])
    await away.db.updateTable('projects').set({ own_actor_id: '1001' }).execute()
    await set(await away.issue(), 'make it')
    await scan(away)
    expect(await foundOf(away)).toHaveLength(2)
    expect(await runsOf(away)).toHaveLength(2)
  })

  test('is not taken up if it was set before the repository was connected, or while it was not', async ({
    databaseUrl,
  }) => {
    const away = await startAway(databaseUrl)
    await withoutList(away)
    await away.label(await away.issue())
    // The forge counts whole seconds.
    const second = Math.floor(Date.now() / 1_000)
    await eventually(() => Math.floor(Date.now() / 1_000) > second, { what: 'the next second', everyMs: 10 })
    await sql`update projects set created_at = now()`.execute(away.db)
    await scan(away)
    await sql`update projects set created_at = now() - interval '1 day', state = 'disconnected'`.execute(away.db)
    await scan(away)
    await away.db.updateTable('projects').set({ state: 'connected' }).execute()
    await scan(away)
    expect([await foundOf(away), await runsOf(away)]).toEqual([[], []])
  })

  test('C16 is found on a later page, also when the forge failed before that', async ({ databaseUrl }) => {
    const away = await startAway(databaseUrl)
    await withoutList(away)
    const issues = await Promise.all(Array.from({ length: 24 }, () => away.issue()))
    for (const issue of issues) {
      await away.label(issue)
      // Other events fill the pages.
      for (const label of ['bug', 'chore', 'docs', 'help'])
        await away.person('POST', `/repos/maria/shop/issues/${issue}/labels`, { labels: [label] })
    }
    await away.fault('GET', 'issues/events.*page=2', { status: 500 }, 3)
    await away.later()
    await away.sweep()
    const [first] = await away.db.selectFrom('label_scans').selectAll().execute()
    expect(first).toMatchObject({ page: 2 })
    expect(first?.next_scan_at.getTime()).toBeLessThan(Date.now() + 60_000)
    await away.later()
    await away.catchUp(3)
    const { events, runs } = await runsByLabelEvent(away)
    expect(events).toHaveLength(24)
    expect(runs).toEqual(events)
    expect(await requestsTo(away, /issues\/events\?.*page=1$/)).toHaveLength(1)
    expect(await away.db.selectFrom('label_scans').select('page').execute()).toEqual([{ page: null }])
  })
})

describe('a delivery that does not come', () => {
  test('is asked for four times, ever more seldom, then given up to the label events', async ({ databaseUrl }) => {
    const away = await startAway(databaseUrl)
    const issue = await away.issue()
    await away.label(issue)
    await away.quiet()
    const waits: number[] = []
    await away.later()
    for (let time = 0; time < 6; time++) {
      await away.sweep()
      const [row] = await sql<{ minutes: number }>`
        select round(extract(epoch from min(due_at) - now()) / 60)::int as minutes from redeliveries`
        .execute(away.db)
        .then(({ rows }) => rows)
      waits.push(row?.minutes ?? 0)
      // It is still hoped for, so nobody looks for the label.
      if (time < 4) expect(await foundOf(away)).toEqual([])
      await sql`update redeliveries set due_at = now() - interval '1 ms' where state = 'missing'`.execute(away.db)
      await sql`update label_scans set next_scan_at = now() - interval '1 ms'`.execute(away.db)
    }
    expect(waits.slice(0, 4)).toEqual([5, 15, 45, 135])
    const repeated = (await away.ledger('delivery'))
      .filter(({ redelivery }) => redelivery)
      .map(({ guid }) => String(guid))
    const guids = new Set(repeated)
    // The ping, the issue and the label.
    expect(guids.size).toBe(3)
    expect(repeated).toHaveLength(12)
    const rows = await away.db.selectFrom('redeliveries').select(['state', 'requests']).execute()
    expect(rows).toEqual(Array.from({ length: 3 }, () => ({ state: 'given_up', requests: 4 })))
    await scan(away)
    expect(await runsOf(away)).toMatchObject([{ subject_number: issue, state: 'queued' }])
    // When it comes in the end, by hand, it changes nothing, and it is missing no more.
    await away.gateway.start()
    const hook = `/repos/maria/shop/hooks/${away.hookId}`
    for (const { id } of await away.person<{ id: number }[]>('GET', `${hook}/deliveries?per_page=3`))
      await away.person('POST', `${hook}/deliveries/${id}/attempts`)
    await away.quiet()
    await away.later()
    await away.catchUp(2)
    expect(await runsOf(away)).toHaveLength(1)
    expect(await away.db.selectFrom('redeliveries').selectAll().execute()).toEqual([])
  })

  test('is not waited for longer than three hours', async ({ databaseUrl }) => {
    const away = await startAway(databaseUrl)
    await away.label(await away.issue())
    await away.quiet()
    await scan(away)
    await scan(away)
    expect(await runsOf(away)).toEqual([])
    await sql`update redeliveries set found_at = now() - interval '181 minutes'`.execute(away.db)
    await scan(away)
    expect(await runsOf(away)).toMatchObject([{ state: 'queued' }])
  })

  test('F14 is not asked for while the forge wants silence, and that is no try', async ({ databaseUrl }) => {
    const away = await startAway(databaseUrl)
    await away.label(await away.issue())
    await away.quiet()
    await away.fault('POST', '/attempts', { status: 429, headers: { 'retry-after': '120' } })
    await away.later()
    await away.sweep()
    expect(await away.ledger('fault')).toHaveLength(1)
    expect(await requestsTo(away, /attempts/)).toEqual([])
    const rows = await away.db.selectFrom('redeliveries').select(['requests', 'due_at']).execute()
    expect(rows.map(({ requests }) => requests)).toEqual([0, 0, 0])
    expect(Math.max(...rows.map(({ due_at }) => due_at.getTime() - Date.now()))).toBeGreaterThan(100_000)
    const before = (await away.ledger('request')).length
    await sql`update redeliveries set due_at = now() - interval '1 ms'`.execute(away.db)
    await away.later()
    await away.sweep()
    expect((await away.ledger('request')).length).toBe(before)
    // Silence is over.
    await sql`update forge_pace set silent_until = now() - interval '1 second'`.execute(away.db)
    await sql`update redeliveries set due_at = now() - interval '1 ms'`.execute(away.db)
    await away.gateway.start()
    await away.later()
    await away.catchUp(3)
    expect(await runsOf(away)).toMatchObject([{ state: 'queued' }])
  })

  test('leaves most of the hour to the work itself', async ({ databaseUrl }) => {
    const away = await startAway(databaseUrl, { rateLimit: 50 })
    for (let count = 0; count < 45; count++) await away.issue()
    await away.quiet()
    await away.gateway.start()
    await away.later()
    await away.sweep()
    const asked = (await requestsTo(away, /attempts/)).length
    // One request more than allowed says that the rest is for others.
    expect(asked).toBeLessThan(31)
    expect(asked).toBeGreaterThan(20)
  })
})

describe('a list of deliveries', () => {
  test('C16 that is long is read on where a failure ended it', async ({ databaseUrl }) => {
    const away = await startAway(databaseUrl)
    const issues = await Promise.all(Array.from({ length: 110 }, () => away.issue()))
    for (const issue of issues.slice(0, 3)) await away.label(issue)
    await away.quiet()
    const [before] = await away.db.selectFrom('hook_checks').selectAll().execute()
    await away.gateway.start()
    await away.fault('GET', 'cursor=', { status: 500 }, 3)
    await away.later()
    await away.sweep()
    const [half] = await away.db.selectFrom('hook_checks').selectAll().execute()
    expect(half?.cursor).toMatch(/^v1_/)
    expect(half?.problem).toContain('500')
    expect(half?.checked_until).toEqual(before?.checked_until)
    await away.later()
    await away.catchUp(4)
    const [after] = await away.db.selectFrom('hook_checks').selectAll().execute()
    expect(after).toMatchObject({ cursor: null, listed_from: null, problem: null })
    expect(after?.checked_until).toEqual(half?.listed_from)
    expect(await requestsTo(away, /hooks\/\d+\/deliveries\?per_page=100$/)).toHaveLength(1)
    const inbox = await away.db.selectFrom('inbox').select('id').execute()
    expect(inbox).toHaveLength(114)
    expect(await runsOf(away)).toHaveLength(3)
  })

  test('whose place was lost is read anew', async ({ databaseUrl }) => {
    const away = await startAway(databaseUrl)
    await away.label(await away.issue())
    await away.quiet()
    await away.gateway.start()
    await sql`update hook_checks set cursor = 'nonsense', listed_from = now()`.execute(away.db)
    await away.later()
    await away.sweep()
    await away.later()
    await away.catchUp(2)
    expect(await runsOf(away)).toHaveLength(1)
  })

  test('that nobody may see says so, and the labels are found all the same', async ({ databaseUrl }) => {
    const away = await startAway(databaseUrl)
    await away.label(await away.issue())
    await away.person('DELETE', `/repos/maria/shop/hooks/${away.hookId}`)
    await scan(away)
    expect(await away.db.selectFrom('hook_checks').select('problem').execute()).toEqual([
      { problem: 'the forge does not show this hook' },
    ])
    expect(await runsOf(away)).toHaveLength(1)
  })
})

describe('F15 our access', () => {
  test('ends, and so does our right to a new token: labels wait, and run when it is back', async ({ databaseUrl }) => {
    const away = await startAway(databaseUrl)
    await away.gateway.start()
    await away.label(await away.issue())
    await away.quiet()
    await away.catchUp(1)
    await away.control('POST', '/tokens/expire', {})
    const suspended = { status: 403, body: { message: 'This installation has been suspended' } }
    await away.fault('POST', 'access_tokens', suspended, 100)
    await away.label(await away.issue())
    await away.quiet()
    await away.sweep()
    const pending = () =>
      away.db
        .selectFrom('deliveries')
        .select(['state', 'due_at'])
        .where('consumer', '=', 'label-router')
        .where('state', '!=', 'done')
        .execute()
    expect(await pending()).toMatchObject([{ state: 'pending' }])
    expect(await runsOf(away)).toHaveLength(1)
    await away.control('DELETE', '/faults')
    await sql`update deliveries set due_at = now() - interval '1 ms' where state = 'pending'`.execute(away.db)
    await away.catchUp(1)
    expect((await runsOf(away)).map(({ state }) => state)).toEqual(['queued', 'queued'])
  })

  test('ends in the middle of catching up: a new token, and nothing is lost or doubled', async ({ databaseUrl }) => {
    const away = await startAway(databaseUrl)
    for (let count = 0; count < 3; count++) await away.label(await away.issue())
    await away.quiet()
    await away.gateway.start()
    await away.fault('POST', '/attempts', { status: 401, body: { message: 'Bad credentials' } })
    await away.fault('GET', 'permission', { status: 401, body: { message: 'Bad credentials' } })
    await away.later()
    await away.catchUp(3)
    const { events, runs } = await runsByLabelEvent(away)
    expect(runs).toEqual(events)
    expect(await requestsTo(away, /access_tokens/)).toHaveLength(3)
  })
})
