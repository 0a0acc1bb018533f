import { randomUUID } from 'node:crypto'
import { describe, expect } from 'vitest'
import {
  addHook,
  addProject,
  deliver,
  labeled,
  startBroker,
  startGateway,
} from '../../functions/webhook-gateway/testing/gateway.ts'
import { test } from '../support/database.ts'
import { startProxy, type Cut } from '../support/proxy.ts'

/** Places at which the conversation of one delivery with the database is cut, on each side. */
const CUTS = 40

describe('C3: a connection to the database that breaks during a delivery', () => {
  test.for(['client', 'server'] as const)(
    'wherever it is cut on the %s side, 2xx means stored, and the same delivery again is stored once',
    async (side, { db, databaseUrl }) => {
      const broker = await startBroker()
      const healthy = await startGateway(databaseUrl, broker.url)
      const hook = await addHook(db, await addProject(db, 42))
      const whole = await startProxy(databaseUrl)
      const measured = await startGateway(whole.url, broker.url)
      expect((await deliver(measured, hook, { body: labeled(42) })).status).toBe(202)
      await measured.stop()

      const seen = new Map<number, number>()
      for (let place = 0; place < CUTS; place += 1) {
        const afterBytes = Math.ceil((whole.bytes[side] * place) / CUTS)
        const status = await deliverThrough(databaseUrl, broker.url, { side, afterBytes }, hook)
        seen.set(status, (seen.get(status) ?? 0) + 1)
      }
      // The relay comes after the commit: cuts that late leave a 202, all others a 503.
      expect(new Set(seen.keys())).toEqual(new Set([202, 503]))
      expect(seen.get(503)).toBeGreaterThan(CUTS / 4)

      const { count } = await db
        .selectFrom('inbox')
        .select(({ fn }) => fn.countAll<number>().as('count'))
        .executeTakeFirstOrThrow()
      expect(count).toBe(CUTS + 1)
      const events = await db.selectFrom('outbox').select('event_id').execute()
      expect(new Set(events.map(({ event_id }) => event_id)).size).toBe(CUTS + 1)
      const accounting = await db.selectFrom('accounting').selectAll().executeTakeFirstOrThrow()
      expect(accounting).toMatchObject({ accepted: CUTS + 1, pending: CUTS + 1, quarantined: 0, lost: 0 })

      async function deliverThrough(target: string, brokerUrl: string, cut: Cut, to: string): Promise<number> {
        const proxy = await startProxy(target, cut)
        const gateway = await startGateway(proxy.url, brokerUrl)
        const sent = { body: labeled(42), delivery: randomUUID() }
        const { status } = await deliver(gateway, to, sent)
        const stored = await db
          .selectFrom('inbox')
          .select('id')
          .where('delivery_id', '=', sent.delivery)
          .executeTakeFirst()
        expect({ status, stored: status === 202 ? stored !== undefined : false }).toEqual({
          status,
          stored: status === 202,
        })
        const again = await deliver(healthy, to, sent)
        expect(again).toMatchObject({ status: 202, json: { state: 'accepted', duplicate: stored !== undefined } })
        await gateway.stop()
        return status
      }
    },
  )
})
