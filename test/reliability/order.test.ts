import { describe, expect } from 'vitest'
import { test } from '../support/database.ts'
import { deliverSigned, pauseHooks, recordedDeliveries } from '../support/deliveries.ts'
import { expectNothingLost, expectOnceAndOnlyOnce } from '../support/invariants.ts'
import { unlimited } from '../support/mutant.ts'
import { eventually } from '../support/wait.ts'
import { startWorld, type World } from '../support/world.ts'

const path = '/repos/maria/shop/issues'

describe('W10: deliveries in any order', () => {
  test('of an issue that is closed in the end leave no run behind: 120 permutations', async ({ db, databaseUrl }) => {
    const world = await startWorld({ db, databaseUrl, functions: await unlimited(), seed: { rate_limit: 100_000 } })
    const orders = permutations([0, 1, 2, 3, 4])
    expect(orders).toHaveLength(120)
    await deliverInOrders(world, orders, ['opened', 'labeled', 'unlabeled', 'labeled', 'closed'])
    await world.drain()

    const runs = await db.selectFrom('runs').selectAll().execute()
    expect(new Set(runs.map(({ state }) => state))).toEqual(new Set(['refused']))
    expect(new Set(runs.map(({ reason }) => reason))).toEqual(new Set(['subject_closed']))
    expectOneRunPerLabelEvent(runs)
    expect(new Set(runs.map(({ subject_number }) => subject_number)).size).toBe(120)
    expect(world.jobLedger()).toEqual([])
    expect(await world.forgeLedger('pull.created')).toEqual([])
    const deliveries = await db
      .selectFrom('deliveries')
      .select('state')
      .where('consumer', '=', 'label-router')
      .execute()
    expect(new Set(deliveries.map(({ state }) => state))).toEqual(new Set(['done']))
    expect(deliveries.length).toBeGreaterThanOrEqual(480)
    await expectNothingLost(db)
  }, 120_000)

  test('of an issue that has its label in the end lead to one pull request: 6 permutations', async ({
    db,
    databaseUrl,
  }) => {
    const world = await startWorld({ db, databaseUrl })
    const orders = permutations([0, 1, 2])
    await deliverInOrders(world, orders, ['labeled', 'unlabeled', 'labeled'])
    await world.drain()
    expectOneRunPerLabelEvent(await db.selectFrom('runs').selectAll().execute())
    await expectOnceAndOnlyOnce(world, db, { runs: 6 })
  })
})

/** For each order an issue to which these things happen while nothing is delivered; then its deliveries come in that order. */
async function deliverInOrders(world: World, orders: readonly number[][], actions: readonly string[]): Promise<void> {
  await pauseHooks(world, true)
  const issues: { readonly number: number; readonly order: readonly number[] }[] = []
  for (const order of orders) {
    const number = await world.issue()
    for (const action of actions) await act(world, number, action)
    issues.push({ number, order })
  }
  await eventually(async () => (await (await fetch(`${world.forgeUrl}/_forge/idle`)).text()) === '{"pending":0}', {
    what: 'the forge',
  })
  const recorded = await recordedDeliveries(world, orders.length * 5 + 10)
  await pauseHooks(world, false)
  const deliverIssue = async ({ number, order }: (typeof issues)[number]) => {
    const own = recorded.filter(({ body }) => body.includes(`/issues/${number}"`))
    const wanted = actions[0] === 'opened' ? own : own.filter(({ body }) => !body.includes('"action":"opened"'))
    expect(wanted.map(({ body }) => (JSON.parse(body) as { action: string }).action)).toEqual(actions)
    for (const index of order)
      expect(await deliverSigned(world, { event: 'issues', body: wanted[index]?.body ?? '' })).toBe(202)
  }
  // Four issues at a time; each has its own order.
  const lanes = Array.from({ length: 4 }, (_, lane) => issues.filter((_, index) => index % 4 === lane))
  await Promise.all(
    lanes.map(async (lane) => {
      for (const issue of lane) await deliverIssue(issue)
    }),
  )
}

async function act(world: World, number: number, action: string): Promise<void> {
  if (action === 'labeled') await world.label(number)
  if (action === 'unlabeled') await world.person('DELETE', `${path}/${number}/labels/run:dev`)
  if (action === 'closed') await world.person('PATCH', `${path}/${number}`, { state: 'closed' })
}

function expectOneRunPerLabelEvent(runs: readonly { readonly label_event_id: string }[]): void {
  expect(new Set(runs.map((run) => run.label_event_id)).size).toBe(runs.length)
}

function permutations(items: readonly number[]): number[][] {
  if (items.length < 2) return [[...items]]
  return items.flatMap((first) => permutations(items.filter((item) => item !== first)).map((rest) => [first, ...rest]))
}
