import { readFileSync } from 'node:fs'
import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { parseAllDocuments } from 'yaml'
import type { Db } from '#shared/db/connect.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import { noRelay, quiet } from '#shared/edge/testing/post.ts'
import { addAttempt, addProject, addRun, say } from '#shared/run/testing/rows.ts'
import { create } from './app.ts'
import { measures } from './measures.ts'
import { metricsText } from './metrics.ts'
import { test } from './testing/test.ts'

/** Names of all series of one scrape with their values. */
async function scrape(db: Db): Promise<Record<string, number>> {
  const app = create({ serviceUrl: () => '', metrics: true }, { db, relay: noRelay, log: quiet })
  const response = await app.fetch(new Request('http://reconciler/metrics'))
  expect(response.status).toBe(200)
  expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/)
  const lines = (await response.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return Object.fromEntries(lines.map((line) => [line.replace(/ \S+$/, ''), Number(/\S+$/.exec(line)?.[0])]))
}

const failedOnes = (series: Record<string, number>) =>
  Object.entries(series).filter(([name, value]) => name.startsWith('codex_k8s_metrics_failed') && value !== 0)

const ago = (seconds: number) => sql<Date>`now() - make_interval(secs => ${seconds})`

/** A hook with this many webhooks of this kind, and what became of them. */
async function webhooks(db: Db, what: 'done' | 'pending' | 'quarantined' | 'set-aside' | 'lost', count: number) {
  await sql`insert into hooks (id, provider, instance, secret_name, created_at) values ('metricshook', 'github', 'https://api.github.com', 'x', now() - interval '2 hours')
    on conflict do nothing`.execute(db)
  const setAside = what === 'set-aside'
  const inbox = await sql<{ id: string }>`
    insert into inbox (hook_id, delivery_id, event_name, body, body_digest, state, reason)
    select 'metricshook', ${what} || n, 'issues', '', repeat('0', 64), ${setAside ? 'quarantined' : 'accepted'}, ${setAside ? 'not_json' : null}
    from generate_series(1, ${count}::int) n returning id`.execute(db)
  if (setAside || what === 'lost') return
  for (const { id } of inbox.rows) {
    await sql`with event as (insert into outbox (source, event_id, type, subject, producer, event, record, inbox_id)
        values ('forge', ${id}, 'com.github.issues.labeled', '', 'webhook-gateway', '{}', '{}', ${id}) returning id)
      insert into deliveries (outbox_id, consumer, state, due_at, settled_at)
      select id, 'label-router', ${what}, now(), ${what === 'pending' ? null : sql`now()`} from event`.execute(db)
  }
}

describe('metrics', () => {
  test('are not served unless they were switched on', async ({ db }) => {
    const app = create({ serviceUrl: () => '' }, { db, relay: noRelay, log: quiet })
    expect((await app.fetch(new Request('http://reconciler/metrics'))).status).toBe(404)
  })

  test('of an empty database are all there, and 0', async ({ db }) => {
    const series = await scrape(db)
    const { codex_k8s_metrics_collect_seconds: seconds, ...rest } = series
    expect(seconds).toBeGreaterThan(0)
    expect(Object.values(rest).filter((value) => value !== 0)).toEqual([])
    expect(rest).toHaveProperty(['codex_k8s_deliveries_pending{consumer="label-router"}'], 0)
    expect(rest).toHaveProperty(['codex_k8s_runs_active{state="queued"}'], 0)
  })

  test('say what is pending, overdue, quarantined and unsent, by consumer and with the age of the oldest', async ({
    db,
  }) => {
    const run = await addRun(db, await addProject(db))
    for (const state of ['pending', 'quarantined', 'done'] as const) {
      const id = await say(db, EVENT_TYPES.runFinished, run)
      await db
        .updateTable('outbox')
        .set({ created_at: ago(600) })
        .where('id', '=', id)
        .execute()
      await db
        .updateTable('deliveries')
        .set({ state, due_at: ago(300), ...(state !== 'pending' && { settled_at: sql`now()` }) })
        .where('outbox_id', '=', id)
        .where('consumer', '=', 'change-publisher')
        .execute()
    }
    const series = await scrape(db)
    expect(series).toMatchObject({
      'codex_k8s_deliveries_pending{consumer="change-publisher"}': 1,
      'codex_k8s_deliveries_overdue{consumer="change-publisher"}': 1,
      'codex_k8s_deliveries_quarantined{consumer="change-publisher"}': 1,
      'codex_k8s_deliveries_pending{consumer="audit-sink"}': 3,
      'codex_k8s_deliveries_overdue{consumer="audit-sink"}': 0,
      codex_k8s_outbox_unsent: 3,
      codex_k8s_ledger_lag_events: 3,
      codex_k8s_ledger_entries_total: 0,
      codex_k8s_events_lost: 0,
    })
    for (const name of [
      'codex_k8s_deliveries_oldest_seconds{consumer="change-publisher"}',
      'codex_k8s_outbox_unsent_oldest_seconds',
      'codex_k8s_ledger_lag_seconds',
    ]) {
      expect(series[name]).toBeGreaterThanOrEqual(600)
      expect(series[name]).toBeLessThan(900)
    }
    await db.deleteFrom('deliveries').execute()
    expect(await scrape(db)).toMatchObject({ codex_k8s_events_lost: 3 })
  })

  test('account for the webhooks of the last hour, also for one that was lost', async ({ db }) => {
    const all = { done: 5, pending: 4, quarantined: 3, 'set-aside': 2, lost: 1 } as const
    for (const [what, count] of Object.entries(all)) await webhooks(db, what as keyof typeof all, count)
    const outcome = (name: string) => `codex_k8s_webhooks_last_hour{outcome="${name}"}`
    const series = await scrape(db)
    expect(series).toMatchObject({
      [outcome('accepted')]: 15,
      [outcome('done')]: 5,
      [outcome('pending')]: 4,
      [outcome('quarantined')]: 5,
      [outcome('lost')]: 1,
      codex_k8s_webhooks_quarantined: 2,
      codex_k8s_hooks_unheard: 0,
    })
    await sql`insert into hooks (id, provider, instance, secret_name, created_at) values ('silenthook', 'github', 'https://api.github.com', 'y', now() - interval '2 hours')`.execute(
      db,
    )
    await db
      .updateTable('inbox')
      .set({ received_at: ago(4_000) })
      .execute()
    expect(await scrape(db)).toMatchObject({ [outcome('accepted')]: 0, codex_k8s_hooks_unheard: 1 })
  })

  test('say how runs stand, what is silent, and what steps took', async ({ db }) => {
    const project = await addProject(db)
    await addRun(db, project, { state: 'queued', columns: { updated_at: new Date(Date.now() - 500_000) } })
    const run = await addRun(db, project, {
      state: 'running',
      columns: { requested_at: new Date(Date.now() - 90_000) },
    })
    await addAttempt(db, run.id, {
      created_at: new Date(Date.now() - 80_000),
      last_seen_at: new Date(Date.now() - 200_000),
    })
    await say(db, EVENT_TYPES.runStarted, run)
    await say(db, EVENT_TYPES.runFinished, run)
    const failed = await addRun(db, project, { state: 'failed', columns: { reason: 'agent_lost' } })
    await say(db, EVENT_TYPES.runFailed, failed)
    const series = await scrape(db)
    expect(failedOnes(series)).toEqual([])
    expect(series).toMatchObject({
      'codex_k8s_runs_active{state="queued"}': 1,
      'codex_k8s_runs_active{state="running"}': 1,
      codex_k8s_attempts_open: 1,
      codex_k8s_attempts_silent: 1,
      'codex_k8s_runs_ended_last_hour{state="failed",reason="agent_lost"}': 1,
    })
    expect(series['codex_k8s_runs_oldest_seconds{state="queued"}']).toBeGreaterThanOrEqual(500)
    const took = (step: string) => series[`codex_k8s_run_step_seconds{step="${step}",quantile="0.99"}`]
    expect(took('label_to_start')).toBeGreaterThanOrEqual(90)
    expect(took('start_to_result')).toBeGreaterThanOrEqual(80)
  })

  test('T8 have as many series whatever stands in the database', async ({ db }) => {
    const project = await addProject(db)
    const before = await scrape(db)
    await sql`insert into outbox (source, event_id, type, subject, producer, event, record)
      select 'x', n::text, 'odd.' || n, 'odd' || n, 'test', '{}', '{}' from generate_series(1, 10000) n`.execute(db)
    await sql`insert into deliveries (outbox_id, consumer, due_at) select id, 'odd-' || seq, now() from outbox`.execute(
      db,
    )
    for (let n = 0; n < 20; n += 1) {
      const run = await addRun(db, project, { state: 'failed', columns: { reason: `odd "reason" ${n}\n` } })
      await say(db, EVENT_TYPES.runFailed, run)
    }
    const after = await scrape(db)
    expect(after['codex_k8s_runs_ended_last_hour{state="failed",reason="other"}']).toBe(20)
    expect(after['codex_k8s_deliveries_pending{consumer="other"}']).toBe(10_000)
    const fresh = Object.keys(after).filter((name) => !(name in before))
    expect(fresh.filter((name) => !name.includes('"other"'))).toEqual([])
    expect(fresh.length).toBeLessThan(8)
  })

  test('that cannot be had are said to be missing, and the others are there', async ({ db }) => {
    const slow = { name: 'slow', metrics: { n: { name: 'codex_k8s_slow', help: '' } }, sql: 'select pg_sleep(60)' }
    const { text } = await metricsText(
      async (question) => {
        if (question.includes('pg_sleep')) throw new Error('canceling statement due to statement timeout')
        return (await sql<Record<string, unknown>>`${sql.raw(question)}`.execute(db)).rows
      },
      [slow, ...measures],
    )
    expect(text).toContain('codex_k8s_metrics_failed{question="slow"} 1')
    expect(text).not.toMatch(/^codex_k8s_slow/m)
    expect(text).toContain('codex_k8s_metrics_failed{question="events"} 0')
    expect(text).toMatch(/^codex_k8s_outbox_unsent 0$/m)
  })

  test('of a table that is locked are missing after three seconds, and the next scrape in five gets the same answer', async ({
    db,
  }) => {
    await db.transaction().execute(async (tx) => {
      await sql`lock table approvals`.execute(tx)
      const app = create({ serviceUrl: () => '', metrics: true }, { db, relay: noRelay, log: quiet })
      const texts = await Promise.all(
        Array.from({ length: 10 }, async () => (await app.fetch(new Request('http://reconciler/metrics'))).text()),
      )
      expect(new Set(texts).size).toBe(1)
      expect(texts[0]).toContain('codex_k8s_metrics_failed{question="approvals"} 1')
      expect(texts[0]).toContain('codex_k8s_metrics_failed{question="comments"} 0')
    })
  })

  test('follow the conventions of Prometheus: base units, a help that says more than the name, one meaning for a name', () => {
    const all = measures.flatMap(({ metrics }) => Object.values(metrics))
    expect(new Set(all.map(({ name }) => name)).size).toBe(all.length)
    const odd = all.filter(
      ({ name, help, type }) =>
        !/^codex_k8s_[a-z]+(_[a-z]+)*$/.test(name) ||
        name.endsWith('_total') !== (type === 'counter') ||
        /_(ms|milliseconds|minutes)$/.test(name) ||
        !/^.{20,}[.?]$/.test(help),
    )
    expect(odd).toEqual([])
  })
})

test('every alert names metrics that exist, says what it means and what to do', async ({ db }) => {
  const text = readFileSync(new URL('../../deploy/observability/alerts.yaml', import.meta.url), 'utf8')
  const groups = parseAllDocuments(text).flatMap((document) => document.toJS().spec.groups) as {
    rules: { alert: string; expr: string; annotations: Record<string, string>; labels: Record<string, string> }[]
  }[]
  const rules = groups.flatMap((group) => group.rules)
  expect(rules.length).toBeGreaterThan(8)
  const { text: scraped } = await metricsText(
    async (question) => (await sql<Record<string, unknown>>`${sql.raw(question)}`.execute(db)).rows,
  )
  const known = new Set([...scraped.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name))
  const odd = rules.filter(({ expr, annotations, labels }) => {
    const names = expr.match(/\bcodex_k8s_\w+/g) ?? []
    return (
      names.length === 0 ||
      names.some((name) => !known.has(name)) ||
      (annotations['summary'] ?? '').length < 20 ||
      (annotations['description'] ?? '').length < 40 ||
      !['page', 'ticket'].includes(labels['severity'] ?? '')
    )
  })
  expect(odd).toEqual([])
})
