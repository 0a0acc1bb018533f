import { sql } from 'kysely'
import { describe, expect, onTestFinished } from 'vitest'
import {
  addHook,
  addProject as addConnected,
  deliver as post,
  labeled,
  startGateway,
} from '../../functions/webhook-gateway/testing/gateway.ts'
import { connect, type Db } from '#shared/db/connect.ts'
import { eventApp } from '#shared/edge/event-app.ts'
import { noRelay, post as postEvent, quiet } from '#shared/edge/testing/post.ts'
import { RetryLater } from '#shared/errors.ts'
import { deliver } from '#shared/outbox/deliver.ts'
import { requestStages } from '#shared/run/testing/rows.ts'
import { test } from '../support/database.ts'
import { eventually } from '../support/wait.ts'
import { startWire, type Wire, type WireFault } from './harness/wire.ts'

describe('F4: over a wire to the database that', () => {
  test.for<[string, WireFault]>([
    ['is half open', { kind: 'halfOpen' }],
    ['takes five seconds', { kind: 'latency', ms: 5_000 }],
    ['is down', { kind: 'down' }],
  ])(
    '%s a delivery is refused while the forge still listens, and taken once it is whole',
    async ([, fault], { db, databaseUrl }) => {
      const { wire, url } = await wired(databaseUrl)
      const gateway = await startGateway(url)
      const hook = await addHook(db, await addConnected(db, 42))
      const send = () => post(gateway, hook, { body: labeled(42) })
      expect((await send()).status).toBe(202)
      wire.set(fault)
      const begun = performance.now()
      const answers = await Promise.all([send(), send(), send()])
      // GitHub's patience is ten seconds.
      expect(performance.now() - begun).toBeLessThan(10_000)
      expect(answers.map(({ status, headers }) => [status, headers.has('retry-after')])).toEqual(
        Array(3).fill([503, true]),
      )
      wire.set({ kind: 'none' })
      await eventually(async () => (await send()).status === 202, { what: 'a delivery to be taken', timeoutMs: 25_000 })
    },
  )

  test.for<[string, WireFault]>([
    ['cuts everything into slices of three bytes', { kind: 'slices', bytes: 3 }],
    ['carries 50 kB in a second', { kind: 'bandwidth', bytesPerSecond: 50_000 }],
  ])('%s a delivery is taken all the same', async ([, fault], { db, databaseUrl }) => {
    const { wire, url } = await wired(databaseUrl)
    const gateway = await startGateway(url)
    const hook = await addHook(db, await addConnected(db, 42))
    wire.set(fault)
    expect((await post(gateway, hook, { body: labeled(42) })).status).toBe(202)
    expect(await db.selectFrom('inbox').select('state').execute()).toEqual([{ state: 'accepted' }])
  })

  test('forgot its connections an event is put off once for each, within the query timeout, and then handled over new ones', async ({
    db,
    databaseUrl,
  }) => {
    const { wire, url } = await wired(databaseUrl)
    const own = connect(url, { name: 'test', max: 1 })
    onTestFinished(() => own.destroy())
    const app = eventApp({
      consumer: 'approval-gate',
      db: own,
      relay: noRelay,
      log: quiet,
      handle: async () => ({ outcome: 'done' }),
      close: async () => {},
    })
    const [id = ''] = await requestStages(db, 1)
    await sql`select 1`.execute(own)
    wire.forget()
    expect(await postEvent(app, db, 'approval-gate', id)).toMatchObject({ status: 503, state: 'pending' })
    expect(await postEvent(app, db, 'approval-gate', id)).toMatchObject({ status: 202, state: 'done' })
  })
})

describe('F5: a database that refuses concurrent changes', () => {
  test('one time in five is asked again, and every event is handled once', async ({ db }) => {
    const ids = await requestStages(db, 100)
    await refuse(db, 0.2)
    const effects = new Map<string, number>()
    for (const id of ids) {
      const handle = async () => ({
        outcome: 'done',
        write: async () => void effects.set(id, (effects.get(id) ?? 0) + 1),
      })
      await deliver(db, 'approval-gate', id, handle)
    }
    const states = await db.selectFrom('deliveries').select('state').where('consumer', '=', 'approval-gate').execute()
    expect(states).toEqual(Array(100).fill({ state: 'done' }))
    const tries = await triesSoFar(db)
    expect(tries).toBeGreaterThan(100)
    // What was rolled back is written again, and only then.
    expect([...effects.values()].reduce((sum, each) => sum + each, 0)).toBe(tries)
  })

  test('always is asked five times and no more', async ({ db }) => {
    const [id = ''] = await requestStages(db, 1)
    await refuse(db, 1)
    const handled = deliver(db, 'approval-gate', id, async () => ({ outcome: 'done' }))
    await expect(handled).rejects.toBeInstanceOf(RetryLater)
    expect(await triesSoFar(db)).toBe(5)
  })
})

async function wired(databaseUrl: string): Promise<{ wire: Wire; url: string }> {
  const url = new URL(databaseUrl)
  const wire = await startWire(Number(url.port))
  onTestFinished(() => wire.close())
  url.port = String(wire.port)
  return { wire, url: url.href }
}

/** From here on the database itself refuses this share of the settlements, half as a serialization failure, half as a deadlock. */
async function refuse(db: Db, share: number): Promise<void> {
  // A sequence is not rolled back: it counts every try.
  await sql`create sequence tries`.execute(db)
  await sql`
    create function refuse() returns trigger language plpgsql as $$
    begin
      perform nextval('tries');
      if random() < ${sql.lit(share)} then
        if random() < 0.5 then raise exception 'injected' using errcode = '40001'; end if;
        raise exception 'injected' using errcode = '40P01';
      end if;
      return new;
    end $$`.execute(db)
  await sql`create trigger refuse before update on deliveries for each row execute function refuse()`.execute(db)
}

async function triesSoFar(db: Db): Promise<number> {
  const { rows } = await sql<{ last_value: number }>`select last_value from tries`.execute(db)
  return rows[0]?.last_value ?? 0
}
