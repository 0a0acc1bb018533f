import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import { expected, recorded, type Body } from '../../functions/webhook-gateway/testing/adapter-document.ts'
import { test } from '../support/database.ts'
import { deliverSigned } from '../support/deliveries.ts'
import { expectNothingLost, expectSentIsAccepted } from '../support/invariants.ts'
import { startWorld } from '../support/world.ts'

test('every example of @octokit/webhooks-examples through gateway and router: 2xx, a CloudEvent as the adapter table says, no exception', async ({
  db,
  databaseUrl,
}) => {
  const world = await startWorld({ db, databaseUrl })
  await world.drain()
  const { id } = await world.person<{ id: number }>('GET', '/repos/maria/shop')
  const ours = { id, name: 'shop', full_name: 'maria/shop', url: `${world.forgeUrl}/repos/maria/shop` }
  // Of the repository that is connected here; an example without a repository is of no hook like ours.
  const examples = recorded.map(({ event, body }) => {
    const { repository } = body as { repository?: Body }
    return {
      event,
      guid: randomUUID(),
      body: repository === undefined ? body : { ...body, repository: { ...repository, ...ours } },
    }
  })
  const statuses = new Set<number>()
  for (const { event, guid, body } of examples)
    statuses.add(await deliverSigned(world, { event, guid, body: JSON.stringify(body) }))
  expect(statuses).toEqual(new Set([202]))
  await world.drain()

  const stored = await db
    .selectFrom('inbox')
    .leftJoin('outbox', 'outbox.inbox_id', 'inbox.id')
    .select(['inbox.delivery_id', 'inbox.state', 'inbox.reason', 'outbox.event'])
    .execute()
  const byGuid = new Map(stored.map((row) => [row.delivery_id, row]))
  const wrong = examples.filter(({ event, guid, body }) => {
    const { state, reason } = byGuid.get(guid) ?? {}
    return 'repository' in body || event === 'ping' ? state !== 'accepted' : reason !== 'repository_missing'
  })
  expect(wrong.map(({ event, guid }) => ({ event, ...byGuid.get(guid) }))).toEqual([])
  for (const { event, guid, body } of examples) {
    const want = expected(event, body)
    const row = byGuid.get(guid)
    if (want === undefined || row?.state !== 'accepted') continue
    const { source, type, subject } = row.event as unknown as { source: string; type: string; subject: string }
    expect({ event, source, type, subject }).toEqual({
      event,
      source: want.source ?? ownerOf(body),
      type: want.type,
      subject: want.subject ?? '',
    })
  }

  const attempts = world.broker.ledger.entries.filter(({ kind }) => kind === 'attempted')
  expect(attempts.filter(({ status }) => status !== 202)).toEqual([])
  expect(attempts.filter(({ trigger }) => trigger?.includes('label-router')).length).toBeGreaterThan(0)
  const { 'dead-lettered': dead, dropped } = world.broker.ledger.counts()
  expect({ dead, dropped }).toEqual({ dead: 0, dropped: 0 })
  const deliveries = await db.selectFrom('deliveries').select(['consumer', 'state', 'outcome']).execute()
  expect(deliveries.filter(({ state, outcome }) => state !== 'done' || outcome === null)).toEqual([])
  expect(world.jobLedger()).toEqual([])
  // 50 and above is an error; the functions say at 40 what is only worth a look.
  expect(world.functions().lines.filter((line) => /"level":[56]0/.test(line))).toEqual([])
  await expectSentIsAccepted(world, db)
  await expectNothingLost(db)
}, 60_000)

/** Where the table's source is not in the body: of whom the event is. */
function ownerOf(body: Body): string | undefined {
  return ((body['organization'] ?? body['sender']) as { url: string } | undefined)?.url
}
