import { mkdtempSync, chmodSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { describe, expect, onTestFinished } from 'vitest'
import { migrate } from '#shared/db/migrate.ts'
import { startPostgres } from '../../deploy/local/postgres.ts'
import { runsByLabelEvent, startAway, type Away } from '../support/away.ts'
import { test } from '../support/database.ts'

/** Labels set while nobody listens; the figure of the promise is 1000. */
const LABELS = Number(process.env['AWAY_LABELS'] ?? 80)

/** Labels as people set them: most stay, some are taken off again, some are set by somebody who may not ask. */
async function labelsWhileAway(away: Away, count: number): Promise<void> {
  for (let index = 0; index < count; index++) {
    const issue = await away.issue(`Task ${index}`)
    await away.label(issue, index % 11 === 5 ? 'theo' : 'maria')
    if (index % 13 === 7) await away.unlabel(issue)
  }
  await away.quiet()
}

const reasonsOf = async ({ db }: Away) => {
  const rows = await db.selectFrom('runs').select(['state', 'reason']).execute()
  const counts: Record<string, number> = {}
  for (const { state, reason } of rows) {
    const key = reason === null ? state : `${state}: ${reason}`
    counts[key] = (counts[key] ?? 0) + 1
  }
  return counts
}

describe('F2 nobody listened', () => {
  test('for an hour: every label that was set has its run or its refusal, once, at the rates of the forge', async ({
    databaseUrl,
  }) => {
    const away = await startAway(databaseUrl)
    await labelsWhileAway(away, LABELS)
    await away.gateway.start()
    await away.later()
    await away.catchUp(3 + LABELS / 30)

    const { events, runs } = await runsByLabelEvent(away)
    expect(events).toHaveLength(LABELS)
    expect(runs).toEqual(events)
    const indexes = Array.from({ length: LABELS }, (_, index) => index)
    const removed = indexes.filter((index) => index % 13 === 7 && index % 11 !== 5).length
    const refused = indexes.filter((index) => index % 11 === 5).length
    expect(await reasonsOf(away)).toEqual({
      queued: LABELS - removed - refused,
      'refused: actor_not_allowed': refused,
      'refused: label_removed': removed,
    })
    expect(await away.ledger('limit.violated')).toEqual([])
    // Everything the forge had to say is there, and was asked for once.
    const inbox = await away.db.selectFrom('inbox').select('delivery_id').execute()
    const deliveries = await away.ledger('delivery')
    expect(inbox.map(({ delivery_id }) => delivery_id).toSorted()).toEqual(
      [...new Set(deliveries.map(({ guid }) => String(guid)))].toSorted(),
    )
    expect(deliveries.filter(({ redelivery }) => redelivery).length).toBe(inbox.length)
    const requests = await away.ledger('request')
    const ours = requests.filter(({ actor }) => actor === 'codex-k8s[bot]').length
    // Six for each label and one for each delivery, of which an issue has two or three; the lists are a few.
    expect(ours).toBeLessThan(LABELS * 9 + 40)

    // Another look finds nothing.
    await away.later()
    await away.sweep()
    expect((await runsByLabelEvent(away)).runs).toEqual(runs)
    expect((await away.ledger('delivery')).length).toBe(deliveries.length)
    expect(await away.db.selectFrom('redeliveries').selectAll().execute()).toEqual([])
    const found = await away.db.selectFrom('outbox').select('type').where('type', 'like', '%label.found%').execute()
    expect(found).toEqual([])
  }, 600_000)

  test('and the forge has forgotten its deliveries: the labels themselves are found', async ({ databaseUrl }) => {
    const away = await startAway(databaseUrl)
    await labelsWhileAway(away, 40)
    await away.person('DELETE', `/repos/maria/shop/hooks/${away.hookId}`)
    await away.gateway.start()
    await away.later()
    await away.catchUp(5)
    await away.later()
    await away.catchUp(5)

    const { events, runs } = await runsByLabelEvent(away)
    const taken = (await away.ledger('label.removed')).map(({ number }) => number)
    const added = (await away.ledger('label.added')).filter(({ number }) => !taken.includes(number))
    expect(events).toHaveLength(40)
    // A label that was set and taken off while we were away is not run.
    expect(runs).toEqual(added.map(({ id }) => String(id)).toSorted())
    expect(await reasonsOf(away)).toEqual({ queued: 33, 'refused: actor_not_allowed': 4 })
    expect(await away.ledger('limit.violated')).toEqual([])
  }, 120_000)

  test('because the database was down: 503 and alive meanwhile, all there after two sweeps', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'away-database-'))
    chmodSync(folder, 0o711)
    onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))
    const server = { dataDir: join(folder, 'data'), durable: false }
    let database = await startPostgres(server)
    onTestFinished(() => database.stop())
    const { url, port } = database
    await migrate(url)
    const away = await startAway(url)
    await away.gateway.start()
    const before = await away.issue('Before')
    await away.label(before)
    await away.quiet()

    await database.stop()
    const issues = [await away.issue(), await away.issue(), await away.issue()]
    for (const issue of issues) await away.label(issue)
    await away.quiet()
    for (const path of ['/healthz', '/readyz', '/healthz'])
      expect((await fetch(`${away.gateway.url}${path}`)).status).toBe(200)
    const failed = (await away.ledger('delivery')).filter(({ statusCode }) => statusCode !== 202)
    expect(failed.filter(({ statusCode }) => statusCode === 503).length).toBeGreaterThanOrEqual(6)

    database = await startPostgres({ ...server, port })
    // The connections that broke are replaced; the first query may still meet one.
    await sql`select 1`.execute(away.db).catch(() => {})
    await away.later()
    expect(await away.catchUp(2)).toBeLessThanOrEqual(2)
    const { events, runs } = await runsByLabelEvent(away)
    expect(events).toHaveLength(4)
    expect(runs).toEqual(events)
    expect(await reasonsOf(away)).toEqual({ queued: 4 })
  }, 120_000)
})
