import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { test } from '../../test/support/database.ts'
import type { Db } from '#shared/db/connect.ts'
import { transaction } from '#shared/db/transaction.ts'
import { PermanentError, RetryLater } from '#shared/errors.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import { deliver, findDelivery, quarantine, type Handler } from '#shared/outbox/deliver.ts'
import { deliverOverdue } from '#shared/outbox/overdue.ts'
import { emit } from '#shared/outbox/write.ts'

const consumer = 'change-publisher'
const write = (db: Db) =>
  transaction(db, (tx) =>
    emit(tx, 'test', { type: EVENT_TYPES.runFinished, subject: 's', extensions: {}, data: { a: 1 }, rows: {} }),
  )
const rowOf = (db: Db, id: string) =>
  db
    .selectFrom('deliveries')
    .selectAll()
    .where('outbox_id', '=', id)
    .where('consumer', '=', consumer)
    .executeTakeFirstOrThrow()
const soon = () => AbortSignal.timeout(10_000)

let number = 0

/** Does its work by adding a subject, so that what was done twice shows. */
function counting(db: Db, more: { fail?: () => Error | undefined } = {}): { handle: Handler; done(): Promise<number> } {
  return {
    handle: async () => ({
      outcome: 'done',
      write: async ({ tx }) => {
        number += 1
        await tx
          .insertInto('hooks')
          .values({
            id: `hook${String(number).padStart(4, '0')}`,
            provider: 'github',
            instance: 'x',
            project_id: null,
            secret_name: 'main',
          })
          .execute()
        const error = more.fail?.()
        if (error) throw error
      },
    }),
    done: async () => (await db.selectFrom('hooks').select('id').execute()).length,
  }
}

describe('a delivery', () => {
  test('is handled with what the outbox row says, and settled with the outcome in the same transaction', async ({
    db,
  }) => {
    const id = await write(db)
    const seen: unknown[] = []
    const delivery = await deliver(db, consumer, id, async (event) => {
      seen.push(event.data)
      return {
        outcome: 'x'.repeat(600),
        write: ({ emit: say }) => say({ type: 'test.followed', subject: 's', extensions: {}, data: {}, rows: {} }),
        written: ['before'],
      }
    })
    expect(seen).toEqual([{ a: 1 }])
    expect(delivery.written).toHaveLength(2)
    expect(await rowOf(db, id)).toMatchObject({ state: 'done', outcome: 'x'.repeat(500), attempts: 0 })
    const follow = await db
      .selectFrom('outbox')
      .select(['type', 'producer'])
      .where('id', '=', delivery.written[1] ?? '')
      .executeTakeFirst()
    expect(follow).toEqual({ type: 'test.followed', producer: consumer })
  })

  test('that comes again, also side by side, has its effect once', async ({ db }) => {
    const id = await write(db)
    const { handle, done } = counting(db)
    const all = await Promise.all(Array.from({ length: 5 }, () => deliver(db, consumer, id, handle)))
    expect(all.map(({ outcome }) => outcome).toSorted()).toEqual([
      'already done',
      'already done',
      'already done',
      'already done',
      'done',
    ])
    expect(await done()).toBe(1)
  })

  test('that is quarantined stays so, and nothing is written', async ({ db }) => {
    const id = await write(db)
    await quarantine(db, consumer, id, 'why', { code: 1 })
    await quarantine(db, consumer, id, 'again', {})
    const { handle, done } = counting(db)
    expect(await deliver(db, consumer, id, handle)).toMatchObject({ outcome: 'already quarantined' })
    expect(await done()).toBe(0)
    expect(await rowOf(db, id)).toMatchObject({ state: 'quarantined', outcome: 'why', error: { code: 1 } })
  })

  test('that fails while it is written leaves nothing of it', async ({ db }) => {
    const id = await write(db)
    const { handle, done } = counting(db, { fail: () => new Error('no') })
    await expect(deliver(db, consumer, id, handle)).rejects.toThrow('no')
    expect(await done()).toBe(0)
    expect((await rowOf(db, id)).state).toBe('pending')
  })

  test('whose world moved looks again, five times at most', async ({ db }) => {
    let moves = 2
    const moving = counting(db, { fail: () => (moves-- > 0 ? new RetryLater('moved', { seconds: 0 }) : undefined) })
    const id = await write(db)
    expect(await deliver(db, consumer, id, moving.handle)).toMatchObject({ outcome: 'done' })
    expect(await moving.done()).toBe(1)

    let looks = 0
    const never = counting(db, { fail: () => (++looks, new RetryLater('moved', { seconds: 0 })) })
    await expect(deliver(db, consumer, await write(db), never.handle)).rejects.toMatchObject({
      name: 'RetryLater',
      seconds: 1,
    })
    expect(looks).toBe(5)
  })

  test('F5 a deadlock or serialization failure is tried again', async ({ db }) => {
    let failures = 3
    const { handle, done } = counting(db, {
      fail: () => (failures-- > 0 ? Object.assign(new Error('x'), { code: failures ? '40P01' : '40001' }) : undefined),
    })
    await deliver(db, consumer, await write(db), handle)
    expect(await done()).toBe(1)
  })

  test('is found by source and id of the event, by its own consumer only', async ({ db }) => {
    const id = await write(db)
    const source = '/codex-k8s/test'
    expect(await findDelivery(db, consumer, { source, id })).toMatchObject({ outboxId: id, state: 'pending' })
    expect(await findDelivery(db, 'approval-gate', { source, id })).toBeUndefined()
    expect(await findDelivery(db, consumer, { source: '/codex-k8s/other', id })).toBeUndefined()
    expect(await findDelivery(db, consumer, { source, id: "' or 1=1 --" })).toBeUndefined()
  })
})

describe('the sweep', () => {
  test('F22 takes up what is overdue; what fails is put off and holds up nothing, what can never work is quarantined', async ({
    db,
  }) => {
    const ids = [await write(db), await write(db), await write(db)]
    const errors: Record<string, Error | undefined> = {
      [ids[0] ?? '']: new Error('later'),
      [ids[1] ?? '']: new PermanentError('never'),
    }
    const handle: Handler = async ({ outboxId }) => {
      const error = errors[outboxId]
      if (error) throw error
      return { outcome: 'done' }
    }
    expect(await deliverOverdue(db, consumer, handle, 0, soon())).toEqual([{ outcome: 'done', written: [] }])
    const rows = await Promise.all(ids.map((id) => rowOf(db, id)))
    expect(rows.map(({ state, attempts }) => [state, attempts])).toEqual([
      ['pending', 1],
      ['quarantined', 1],
      ['done', 1],
    ])
    expect(rows[1]).toMatchObject({ outcome: 'never', error: { message: 'never' } })
    expect(rows[0]?.due_at.getTime()).toBeGreaterThan(Date.now())
    expect(await deliverOverdue(db, consumer, handle, 0, soon())).toEqual([])
  })

  test('waits at least as long as it is told, doubles, and gives up visibly after thirty times', async ({ db }) => {
    const id = await write(db)
    const seconds = async () => {
      const { wait } = await db
        .selectFrom('deliveries')
        .select(sql<number>`round(extract(epoch from due_at - now()))::int`.as('wait'))
        .where('consumer', '=', consumer)
        .executeTakeFirstOrThrow()
      await db
        .updateTable('deliveries')
        .set({ due_at: sql`now() - interval '1 ms'` })
        .execute()
      return wait
    }
    const fail =
      (wait: number): Handler =>
      () =>
        Promise.reject(new RetryLater('later', { seconds: wait }))
    await deliverOverdue(db, consumer, fail(60), 0, soon())
    expect(await seconds()).toBe(60)
    const waits = []
    for (let round = 0; round < 3; round += 1) {
      await deliverOverdue(db, consumer, fail(1), 0, soon())
      waits.push(await seconds())
    }
    expect(waits).toEqual([2, 4, 8])
    await db.updateTable('deliveries').set({ attempts: 30 }).execute()
    await deliverOverdue(db, consumer, fail(1), 0, soon())
    expect(await rowOf(db, id)).toMatchObject({ state: 'quarantined', outcome: 'later' })
  })

  test('leaves what is fresh to the broker, and stops at its deadline', async ({ db }) => {
    await write(db)
    const handle: Handler = async () => ({ outcome: 'done' })
    expect(await deliverOverdue(db, consumer, handle, 60, soon())).toEqual([])
    expect(await deliverOverdue(db, consumer, handle, 0, AbortSignal.abort())).toEqual([])
    expect(await deliverOverdue(db, consumer, handle, 0, soon())).toHaveLength(1)
  })
})
