import { sql } from 'kysely'
import { expect } from 'vitest'
import type { Db } from '#shared/db/connect.ts'
import { startCollector, type CollectedSpan } from '../support/collector.ts'
import { test } from '../support/database.ts'
import { expectNothingLost } from '../support/invariants.ts'
import { startModel } from '../support/model.ts'
import { eventually } from '../support/wait.ts'
import { startWorld } from '../support/world.ts'

/** The one trace that every event of the run says it belongs to. */
async function traceOf(db: Db, run: string): Promise<string> {
  const rows = await sql<{ trace: string | null }>`
    select distinct substr(event #>> '{extensions,traceparent}', 4, 32) as trace from outbox
    where subject = ${`runs/${run}`}`.execute(db)
  expect(rows.rows).toHaveLength(1)
  expect(rows.rows[0]?.trace).toMatch(/^[0-9a-f]{32}$/)
  return rows.rows[0]?.trace ?? ''
}

const runIds = async (db: Db) =>
  (await db.selectFrom('runs').select('id').where('state', '!=', 'refused').orderBy('created_at').execute()).map(
    ({ id }) => id,
  )

/** Names of the spans from this one up to the root; fails where a parent is missing. */
function lineage(spans: readonly CollectedSpan[], from: CollectedSpan): string[] {
  const names = [from.name]
  for (let { parentSpanId } = from; parentSpanId !== '';) {
    const parent = spans.find(({ spanId }) => spanId === parentSpanId)
    if (parent === undefined) throw new Error(`${names.join(' < ')}: its parent was not collected`)
    names.push(parent.name)
    parentSpanId = parent.parentSpanId
  }
  return names
}

test('a run is one trace, from the delivery of the label to the pull request, each span the child of what caused it', async ({
  db,
  databaseUrl,
}) => {
  const collector = await startCollector()
  const model = await startModel()
  const world = await startWorld({
    db,
    databaseUrl,
    collectorUrl: collector.url,
    modelUrl: model.url,
    change: { files: { 'hello.txt': 'hello\n' }, asks: true },
    logLevel: 'info',
  })
  await world.drain()
  await world.label(await world.issue())
  await world.drain()
  const [run = ''] = await runIds(db)
  const trace = await traceOf(db, run)
  const inTrace = () => collector.spans.filter(({ traceId }) => traceId === trace)
  await eventually(() => inTrace().some(({ name }) => name.includes('change.published')), { what: 'the last span' })

  const names = new Set(inTrace().map(({ name }) => name))
  for (const name of [
    'receive webhook',
    'process com.github.issues.labeled',
    'process dev.codex-k8s.stage.approved.v1',
    'create Job',
    'GET /v1/input',
    'POST /v1/responses',
    'POST /v1/progress',
    'POST /v1/result',
    'process dev.codex-k8s.run.finished.v1',
    'POST /repos/{owner}/{repo}/pulls',
    'process dev.codex-k8s.change.published.v1',
  ])
    expect(names).toContain(name)
  const pull = inTrace().find(({ name }) => name === 'POST /repos/{owner}/{repo}/pulls')
  expect(lineage(collector.spans, pull as CollectedSpan)).toEqual([
    'POST /repos/{owner}/{repo}/pulls',
    'process dev.codex-k8s.run.finished.v1',
    'POST /v1/result',
    'process com.github.issues.labeled',
    'receive webhook',
  ])
  for (const span of inTrace()) expect(lineage(collector.spans, span).at(-1)).toBe('receive webhook')

  // Log lines name it, and it is in what the broker carried.
  const lines = world.functions().lines.map((line) => JSON.parse(line) as { trace?: string; msg: string })
  expect(lines.filter((line) => line.trace === trace && line.msg === 'event settled').length).toBeGreaterThan(5)
  await expectNothingLost(db)
})

test('a run keeps its trace when its agent is lost, its process killed, and its place given by the end of another run', async ({
  db,
  databaseUrl,
}) => {
  const collector = await startCollector()
  const world = await startWorld({
    db,
    databaseUrl,
    collectorUrl: collector.url,
    maxActive: 1,
    // Each attempt ends without a result; after the second one its run fails.
    change: { exit: 1 },
  })
  await world.drain()
  await world.label(await world.issue('First'))
  await eventually(() => world.jobLedger().length === 1, { what: 'the first Job', timeoutMs: 20_000 })
  await world.label(await world.issue('Second'))
  await eventually(async () => (await runIds(db)).length === 2, { what: 'the second run', timeoutMs: 20_000 })
  await world.functions().kill('SIGKILL')
  await world.restart()
  await world.expireLeases()
  await world.drain()

  const runs = await runIds(db)
  const traces = new Set<string>()
  for (const run of runs) traces.add(await traceOf(db, run))
  const attempts = await db.selectFrom('attempts').select('attempt').orderBy('fence').execute()
  expect(attempts.map(({ attempt }) => attempt)).toEqual([1, 2, 1, 2])
  expect(traces.size).toBe(runs.length)
  const jobs = collector.spans.filter(({ name }) => name === 'create Job')
  for (const { attributes, traceId } of jobs)
    expect(traceId).toBe(await traceOf(db, String(attributes['codex_k8s.run'])))
  expect(new Set(jobs.map(({ attributes }) => attributes['codex_k8s.run']))).toEqual(new Set(runs))
  await expectNothingLost(db)
})

test('T8 names and attributes of spans do not grow with what people write, and what senders say of traces is not believed', async ({
  db,
  databaseUrl,
}) => {
  const collector = await startCollector()
  const world = await startWorld({ db, databaseUrl, collectorUrl: collector.url })
  await world.drain()
  const outside = 'f00dfeedf00dfeedf00dfeedf00dfeed'
  for (let n = 0; n < 10; n += 1) {
    const headers = {
      'content-type': 'application/json',
      'x-github-event': `odd-${n}`,
      'x-github-delivery': `odd-${n}`,
      'x-hub-signature-256': 'sha256=00',
      traceparent: `00-${outside}-00000000000000aa-01`,
      'ce-traceparent': `00-${outside}-00000000000000aa-01`,
    }
    await (await fetch(`${world.hookUrl}?odd=${n}`, { method: 'POST', headers, body: '{}' })).text()
    await (await fetch(`${world.url('run-gateway')}/v1/odd-${n}`, { headers })).text()
  }
  for (const title of ['odd-title-1', 'odd-title-2']) await world.label(await world.issue(title, 'odd-body'), 'run:dev')
  await world.drain()
  expect(collector.text()).not.toContain('odd-')
  expect(collector.text()).not.toContain(outside)
  expect(new Set(collector.spans.map(({ name }) => name)).size).toBeLessThan(60)
})

test('a collector that hangs, or is away, costs a fifth of a second once and not an event', async ({
  db,
  databaseUrl,
}) => {
  const collector = await startCollector()
  const world = await startWorld({ db, databaseUrl, collectorUrl: collector.url })
  await world.drain()
  collector.hang()
  await world.label(await world.issue())
  await world.drain()
  expect(await db.selectFrom('runs').select('state').execute()).toEqual([{ state: 'succeeded' }])
  await expectNothingLost(db)
})

test('where no collector is named nothing is traced: no event and no run says anything of a trace', async ({
  db,
  databaseUrl,
}) => {
  const world = await startWorld({ db, databaseUrl })
  await world.drain()
  await world.label(await world.issue())
  await world.drain()
  expect(await db.selectFrom('runs').select('traceparent').execute()).toEqual([{ traceparent: null }])
  const traced = await sql`select from outbox where event::text like '%traceparent%'`.execute(db)
  expect(traced.rows).toEqual([])
})
