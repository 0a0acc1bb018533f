import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { sha256 } from '#shared/digest.ts'
import type { Db } from '#shared/db/connect.ts'
import type { Decision } from './decide.ts'
import type { Stored } from './handler.ts'
import { store } from './store.ts'
import { addHook, addProject, expectNothingLost, test } from './testing/gateway.ts'

/** One of several deliveries that come at once. `poison` cannot be written: the database refuses its row. */
interface Came {
  readonly hook: number
  readonly id: string
  readonly body: string
  readonly kind: 'accept' | 'quarantine' | 'poison'
}

const SOURCE = 'https://api.github.com/repos/octo/repo'

async function world(db: Db) {
  const projectId = await addProject(db, 42)
  const storage = store(db)
  const hooks = await Promise.all(
    [0, 1].map(async () => {
      const hook = await storage.findHook(await addHook(db, projectId))
      if (hook === undefined) throw new Error('the hook is not found')
      return hook
    }),
  )
  const save = ({ hook, id: deliveryId, body, kind }: Came) => {
    const bytes = Buffer.from(body)
    const attributes = {
      source: SOURCE,
      type: 'com.github.issues.opened',
      subject: kind === 'poison' ? 'a\0b' : '7',
      time: '2026-01-02T03:04:05Z',
    }
    const decision: Decision =
      kind === 'quarantine'
        ? { kind, projectId, reason: 'event_mismatch' }
        : { kind: 'accept', projectId, attributes, extensions: {} }
    const received = { hook: hooks[hook]!, deliveryId, event: 'issues', bytes, digest: sha256(bytes) }
    return storage.save(received, decision)
  }
  return { storage, save }
}

const summary = ({ state, reason, duplicate }: Stored) => ({ state, reason, duplicate })

describe('deliveries that come at once', () => {
  test('are looked up and written in few transactions', async ({ db }) => {
    const { save } = await world(db)
    const all = Array.from({ length: 100 }, () => ({ hook: 0, id: randomUUID(), body: '{}', kind: 'accept' }) as const)
    const answers = await Promise.all(all.map(save))
    expect(new Set(answers.map((answer) => JSON.stringify(summary(answer))))).toEqual(
      new Set(['{"state":"accepted","reason":null,"duplicate":false}']),
    )
    const { rows } = await sql<{ transactions: number; inbox: number; leases: number; leased: number }>`
      select count(distinct inbox.xmin::text)::int as transactions, count(*)::int as inbox,
        count(distinct lease)::int as leases, count(lease)::int as leased
      from inbox join outbox on inbox_id = inbox.id`.execute(db)
    expect(rows[0]).toMatchObject({ inbox: 100, leased: 100 })
    expect(rows[0]?.transactions).toBeLessThan(10)
    expect(rows[0]?.leases).toBe(rows[0]?.transactions)
    await expectNothingLost(db)
  })

  test('C1 one that cannot be written fails alone', async ({ db }) => {
    const { save } = await world(db)
    const ids = Array.from({ length: 20 }, () => randomUUID())
    const ends = await Promise.allSettled(
      ids.map((id, index) => save({ hook: 0, id, body: '{}', kind: index === 7 ? 'poison' : 'accept' })),
    )
    expect(ends.flatMap(({ status }, index) => (status === 'rejected' ? [index] : []))).toEqual([7])
    const stored = await db.selectFrom('inbox').select('delivery_id').execute()
    expect(stored.map((row) => row.delivery_id).toSorted()).toEqual(ids.filter((_, index) => index !== 7).toSorted())
    await expectNothingLost(db)
  })

  test('W5 whatever comes in one burst, each gets its own answer and nothing is stored twice', async ({ db }) => {
    const { save } = await world(db)
    const came = fc.record({
      hook: fc.constantFrom(0, 1),
      id: fc.constantFrom('a', 'b', 'c'),
      body: fc.constantFrom('{"a":1}', '{"a":2}'),
      kind: fc.constantFrom('accept' as const, 'accept' as const, 'quarantine' as const, 'poison' as const),
    })
    let round = 0
    await fc.assert(
      fc.asyncProperty(fc.array(came, { minLength: 1, maxLength: 12 }), async (burst) => {
        round += 1
        const all = burst.map((each) => ({ ...each, id: `${each.id}-${round}` }))
        const ends = await Promise.allSettled(all.map(save))
        const answers = all.map((each, index) => ({ each, end: ends[index]! }))

        for (const { each, end } of answers)
          if (each.kind !== 'poison') expect(end).toMatchObject({ status: 'fulfilled' })
        const first = answers.flatMap(({ each, end }) =>
          end.status === 'fulfilled' && !end.value.duplicate ? [{ each, stored: end.value }] : [],
        )
        const bodies = (of: readonly { each: Came }[]) => of.map(({ each }) => `${each.hook} ${each.id} ${each.body}`)
        // Every body under an id is stored once, as itself or aside; the others that are the same are duplicates.
        const kept = answers.filter(({ end }) => end.status === 'fulfilled')
        expect(bodies(first).toSorted()).toEqual([...new Set(bodies(kept))].toSorted())
        const rows = await db.selectFrom('inbox').selectAll().where('delivery_id', 'like', `%-${round}%`).execute()
        expect(rows).toHaveLength(first.length)
        const events = await db
          .selectFrom('outbox')
          .select('event_id')
          .where('event_id', 'like', `%-${round}`)
          .execute()
        expect(new Set(events.map((row) => row.event_id)).size).toBe(events.length)
        expect(rows.filter(({ state }) => state === 'accepted')).toHaveLength(events.length)
        for (const { each, stored } of first) {
          const allowed = each.kind === 'quarantine' ? ['event_mismatch'] : [null, 'event_id_taken']
          expect([...allowed, 'delivery_id_reused']).toContain(stored.reason)
          expect(stored.unsent).toHaveLength(1)
        }
      }),
      { numRuns: 60 },
    )
    await expectNothingLost(db)
  }, 60_000)
})
