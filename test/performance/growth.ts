import { sql } from 'kysely'
import { connect, type Db } from '#shared/db/connect.ts'
import type { Row } from '#shared/db/schema.ts'
import { transaction } from '#shared/db/transaction.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import { deliver, findDelivery } from '#shared/outbox/deliver.ts'
import { createRelay, type Relay } from '#shared/outbox/relay.ts'
import { emit } from '#shared/outbox/write.ts'
import { runEvent } from '#shared/run/run-event.ts'
import { addProject, addRun } from '#shared/run/testing/rows.ts'
import { auditSink } from '../../functions/audit-sink/handler.ts'
import { store as ledgerStore } from '../../functions/audit-sink/store.ts'
import { ownersDue } from '../../functions/reconciler/due.ts'
import { shown, short, spreadOf, type Figure, type Section, type Spread } from './figures.ts'
import type { Ground } from './ground.ts'
import { grow, type Size } from './growth-rows.ts'
import { plansOf } from './plans.ts'

/** What happens for every event, milliseconds. */
const PARTS = ['write', 'claim and mark', 'deliver', 'append to the ledger', 'look for what is due'] as const
type Part = (typeof PARTS)[number]

interface Place {
  readonly size: Size
  readonly db: Db
  readonly relay: Relay
  readonly run: Row<'runs'>
  readonly times: Record<Part, number[]>
}

/** Whether an event costs more in an installation that has grown; then, with which plans. */
export async function growth(ground: Ground): Promise<Section> {
  const settled = ground.quick ? 2_000 : 100_000
  const [rounds, events] = ground.quick ? [1, 10] : [5, 40]
  const sizes: Size[] = [
    { projects: 1, settled: 0 },
    { projects: 10, settled: 0 },
    { projects: 100, settled: 0 },
    { projects: 1, settled },
    { projects: 100, settled },
  ]
  const places: Place[] = []
  for (const size of sizes) {
    places.push(await place(ground, size))
    ground.say(`growth: ${size.projects} projects and ${size.settled} settled events are there`)
  }
  // Round by round over all sizes, so that a slow minute of the machine is no size's own.
  for (let round = -1; round < rounds; round += 1) {
    for (const each of places) {
      for (let event = 0; event < events; event += 1) await one(each)
      if (round < 0) for (const part of PARTS) each.times[part].length = 0
    }
  }
  const accounting: number[] = []
  for (const each of [places[0], places.at(-1)]) if (each !== undefined) accounting.push(await timeOf(each.db))
  const spreads = places.map(({ size, times }) => ({ size, parts: spreadsOf(times) }))
  for (const { db } of places) await db.destroy()
  const plans = await plansOf(ground, { projects: 100, settled })
  return {
    figures: [
      ...figuresOf(spreads),
      {
        name: 'growth: the view accounting (tests and people only)',
        ours: `${short(accounting[1] ?? 0)} ms at ${short(settled)}`,
        beside: `${short(accounting[0] ?? 0)} ms at 0`,
      },
      ...plans.figures,
    ],
    notes: plans.notes,
    data: { spreads, plans: plans.data },
  }
}

async function place(ground: Ground, size: Size): Promise<Place> {
  const url = await ground.database()
  await grow(url, size)
  const db = connect(url, { name: 'bench' })
  const run = await addRun(db, await addProject(db))
  const post = async () => new Response(null, { status: 202 })
  const relay = createRelay({ db, brokerUrl: 'http://127.0.0.1:9', deadlineMs: 5_000, post })
  return { size, db, relay, run, times: Object.fromEntries(PARTS.map((part) => [part, []])) as never }
}

/** One event from its row to its end, with nothing but the protocol. */
async function one({ db, relay, run, times }: Place): Promise<void> {
  const timed = async <T>(part: Part, work: () => Promise<T>): Promise<T> => {
    const began = performance.now()
    const result = await work()
    times[part].push(performance.now() - began)
    return result
  }
  const event = runEvent(EVENT_TYPES.runStarted, run, { rows: { runs: [run] }, attempt: 1 })
  const id = await timed('write', () => transaction(db, (tx) => emit(tx, 'stage-dispatcher', event)))
  await timed('claim and mark', () => relay.after([id]))
  await timed('deliver', async () => {
    const found = await findDelivery(db, 'status-reporter', { source: '/codex-k8s/stage-dispatcher', id })
    await deliver(db, 'status-reporter', found?.outboxId ?? '', async () => ({ outcome: 'nothing' }))
  })
  await timed('append to the ledger', () => auditSink(ledgerStore(db))(AbortSignal.timeout(10_000)))
  await timed('look for what is due', async () => {
    await ownersDue(db, 60)
    await relay.overdue(60)
  })
}

async function timeOf(db: Db): Promise<number> {
  const began = performance.now()
  await sql`select * from accounting`.execute(db)
  return performance.now() - began
}

const spreadsOf = (times: Record<Part, number[]>) =>
  Object.fromEntries(PARTS.map((part) => [part, spreadOf(times[part])])) as Record<Part, Spread>

function figuresOf(spreads: readonly { size: Size; parts: Record<Part, Spread> }[]): Figure[] {
  const [smallest, ...others] = spreads
  if (smallest === undefined) return []
  return PARTS.map((part) => {
    const floor = smallest.parts[part]
    const largest = others.at(-1)?.parts[part] ?? floor
    const ratio = largest.median / floor.median
    const between = others
      .slice(0, -1)
      .map(({ size, parts }) => `${size.projects}/${short(size.settled)}: ${short(parts[part].median)}`)
    const last = others.at(-1)?.size
    return {
      name: `growth: ${part}, per event`,
      ours: `${shown(largest, ' ms')} at ${last?.projects} projects/${short(last?.settled ?? 0)} settled`,
      beside: `1/0: ${shown(floor)}; ${between.join(', ')}`,
      ratio,
      goal: 'does not grow (<= 1.3x)',
      met: ratio <= 1.3,
    }
  })
}
