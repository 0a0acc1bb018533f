import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { sql } from 'kysely'
import { describe, expect, onTestFinished } from 'vitest'
import type { Db } from '#shared/db/connect.ts'
import { keptLog, noRelay, quiet, sweep } from '#shared/edge/testing/post.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import { noteFailure } from '#shared/outbox/deliver.ts'
import { addAttempt, addProject, addRun, say } from '#shared/run/testing/rows.ts'
import { create } from './app.ts'
import { ownersDue } from './due.ts'
import { reconcile } from './handler.ts'
import { test } from './testing/test.ts'

/** Functions that answer a sweep with this status, and what they were asked. */
async function functions(status: (name: string) => number) {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    response.writeHead(status(request.url?.split('/')[1] ?? '')).end()
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const root = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { asked, serviceUrl: (name: string) => `${root}/${name}` }
}

const running = async (db: Db) => addRun(db, await addProject(db), { state: 'running' })

describe('who is asked', () => {
  test('nobody where nothing is due', async ({ db }) => {
    const run = await running(db)
    await addAttempt(db, run.id)
    expect(await ownersDue(db, 60)).toEqual([])
  })

  const cases: [string, string, (db: Db) => Promise<unknown>][] = [
    [
      'a pending delivery',
      'change-publisher',
      async (db) => {
        await say(db, EVENT_TYPES.runFinished, await running(db))
        await db.deleteFrom('deliveries').where('consumer', '!=', 'change-publisher').execute()
      },
    ],
    [
      'an old attempt',
      'stage-dispatcher',
      async (db) => addAttempt(db, (await running(db)).id, { created_at: new Date(0) }),
    ],
    [
      'a deadline',
      'stage-dispatcher',
      async (db) => addAttempt(db, (await running(db)).id, { deadline_at: new Date(0) }),
    ],
    [
      'a queued run',
      'stage-dispatcher',
      async (db) => addRun(db, await addProject(db), { state: 'queued', columns: { updated_at: new Date(0) } }),
    ],
    [
      'a Job of a run that is over',
      'stage-dispatcher',
      async (db) => {
        const run = await addRun(db, await addProject(db), {
          state: 'cancelled',
          columns: { reason: 'superseded', updated_at: new Date(0) },
        })
        const { attempt } = await addAttempt(db, run.id, { state: 'stopped' })
        await db.insertInto('intents').values({ kind: 'job', name: 'run-x', run_id: run.id, attempt }).execute()
      },
    ],
    [
      'a reservation that ended',
      'model-gateway',
      async (db) => {
        const run = await running(db)
        const { attempt } = await addAttempt(db, run.id)
        await db
          .insertInto('model_calls')
          .values({ run_id: run.id, attempt, reserved_tokens: 1, charged_tokens: 1, expires_at: new Date(0) })
          .execute()
      },
    ],
    [
      'a list of deliveries',
      'label-router',
      async (db) => {
        const { id, instance } = await addProject(db)
        const hook = { id: 'hook00000001', provider: 'github', instance, project_id: id, secret_name: 'main' } as const
        await db.insertInto('hooks').values(hook).execute()
        const check = { hook_id: hook.id, forge_hook_id: '7', next_check_at: new Date(0) }
        return db.insertInto('hook_checks').values(check).execute()
      },
    ],
    [
      'a delivery that is missing',
      'label-router',
      async (db) => {
        const { id, instance } = await addProject(db)
        const hook = { id: 'hook00000001', provider: 'github', instance, project_id: id, secret_name: 'main' } as const
        await db.insertInto('hooks').values(hook).execute()
        const missing = { hook_id: hook.id, delivery_id: 'x', attempt_id: '1', delivered_at: new Date() }
        return db.insertInto('redeliveries').values(missing).execute()
      },
    ],
    [
      'a repository whose label events nobody has looked at for long',
      'label-router',
      async (db) => addProject(db, { created_at: new Date(0) }),
    ],
    [
      'a comment that fell behind',
      'status-reporter',
      async (db) =>
        db
          .insertInto('comments')
          .values({ run_id: (await running(db)).id, wanted: 2, done: 1 })
          .execute(),
    ],
  ]
  test.for(cases)('%s wakes its owner, %s', async ([, owner, make], { db }) => {
    await make(db)
    expect(await ownersDue(db, 0)).toContain(owner)
    const { asked, serviceUrl } = await functions(() => 200)
    const app = create({ serviceUrl }, { db, relay: noRelay, log: quiet })
    expect((await sweep(app)).status).toBe(202)
    expect(asked).toContain(`POST /${owner}/sweep?grace=0`)
    expect(asked).toHaveLength(new Set(asked).size)
  })

  test('what was written a moment ago is left to the broker', async ({ db }) => {
    await say(db, EVENT_TYPES.runFinished, await running(db))
    expect(await ownersDue(db, 60)).toEqual([])
    expect((await ownersDue(db, 0)).toSorted()).toEqual([
      'audit-sink',
      'change-publisher',
      'stage-dispatcher',
      'status-reporter',
    ])
  })

  test('an owner that is down is said to be, and the others are asked all the same', async ({ db }) => {
    await say(db, EVENT_TYPES.runFinished, await running(db))
    const { asked, serviceUrl } = await functions((name) => (name === 'audit-sink' ? 500 : 200))
    const { log, lines } = keptLog()
    const app = create({ serviceUrl }, { db, relay: noRelay, log })
    expect((await sweep(app)).status).toBe(202)
    expect(asked).toHaveLength(4)
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { level: 40, owner: 'audit-sink' },
      { failed: ['audit-sink'] },
    ])
  })

  test('a relay that fails leaves no owner asleep', async () => {
    const swept: string[] = []
    const round = await reconcile(
      {
        relay: () => Promise.reject(new Error('no database')),
        ownersDue: async () => ['label-router'],
        sweep: async (owner) => void swept.push(owner),
        log: quiet,
      },
      60,
    )
    expect(round).toEqual({ relayed: 0, swept: ['label-router'], failed: [] })
    expect(swept).toEqual(['label-router'])
  })
})

describe('a dead letter', () => {
  const data = (body: object) => ({ 'ce-knativeerrordata': Buffer.from(JSON.stringify(body)).toString('base64') })

  async function letter(db: Db) {
    const id = await say(db, EVENT_TYPES.runFinished, await running(db))
    const app = create({ serviceUrl: () => 'http://127.0.0.1:9' }, { db, relay: noRelay, log: quiet })
    const send = (consumer: string, headers: Record<string, string> = {}) =>
      app.fetch(
        new Request(`http://reconciler/dead-letter/${consumer}`, {
          method: 'POST',
          headers: {
            'ce-specversion': '1.0',
            'ce-type': EVENT_TYPES.runFinished,
            'ce-source': '/codex-k8s/test',
            'ce-id': id,
            'ce-knativeerrorcode': '422',
            'ce-knativeerrordest': 'http://change-publisher',
            'ce-knativeerrordata': 'no%20such%20thing%00',
            'ce-other': 'left out',
            ...headers,
          },
        }),
      )
    const row = (consumer: string) =>
      db.selectFrom('deliveries').selectAll().where('consumer', '=', consumer).executeTakeFirstOrThrow()
    const failed = () => noteFailure(db, 'change-publisher', id, 'fault')
    return { send, row, failed }
  }

  test('F22 takes the row out of the way with what the broker says, once, and only that one', async ({ db }) => {
    const { send, row, failed } = await letter(db)
    await failed()
    for (const answer of [
      await send('change-publisher'),
      await send('change-publisher', { 'ce-knativeerrorcode': '500' }),
    ]) {
      expect([answer.status, await answer.text()]).toEqual([202, ''])
    }
    expect(await row('change-publisher')).toMatchObject({
      state: 'quarantined',
      outcome: 'dead letter: 422 from http://change-publisher',
      error: {
        knativeerrorcode: '422',
        knativeerrordest: 'http://change-publisher',
        knativeerrordata: 'no such thing\ufffd',
      },
    })
    expect((await row('status-reporter')).state).toBe('pending')
  })

  test.for<[string, string, Record<string, string>]>([
    ['pending, when the consumer asked for later', 'pending', { 'ce-knativeerrorcode': '503' }],
    ['pending, when nobody answered', 'pending', { 'ce-knativeerrorcode': '500', ...data({}) }],
    [
      'quarantined, when the consumer failed',
      'quarantined',
      { 'ce-knativeerrorcode': '500', ...data({ code: 'fault' }) },
    ],
    [
      'quarantined, when the consumer failed and the broker does not say how',
      'quarantined',
      { 'ce-knativeerrorcode': '500', 'ce-knativeerrordata': '' },
    ],
    [
      'pending, when nobody answered a broker that says -1',
      'pending',
      { 'ce-knativeerrorcode': '-1', 'ce-knativeerrordata': '' },
    ],
  ])('F13 leaves the row %s', async ([, state, headers], { db }) => {
    const { send, row, failed } = await letter(db)
    await failed()
    expect((await send('change-publisher', headers)).status).toBe(202)
    expect(await row('change-publisher')).toMatchObject({ state })
  })

  test('F22 that somebody made up changes nothing: the consumer did not say that it failed', async ({ db }) => {
    const { send, row } = await letter(db)
    const before = await row('change-publisher')
    for (const code of ['422', '500', '503', '-1'])
      expect((await send('change-publisher', { 'ce-knativeerrorcode': code, ...data({ code: 'fault' }) })).status).toBe(
        202,
      )
    expect(await row('change-publisher')).toEqual(before)
  })

  test('that comes after all was done changes nothing', async ({ db }) => {
    const { send, row } = await letter(db)
    await db
      .updateTable('deliveries')
      .set({ state: 'done', settled_at: sql`now()` })
      .where('consumer', '!=', 'audit-sink')
      .execute()
    expect((await send('change-publisher')).status).toBe(202)
    expect((await row('change-publisher')).state).toBe('done')
  })

  test.for<[string, string, Record<string, string>]>([
    ['nobody', 'nobody', {}],
    ['a name of the language', 'constructor', {}],
    ['a consumer that does not hear of it', 'approval-gate', {}],
    ['an event that nobody wrote', 'change-publisher', { 'ce-id': 'forged' }],
    ['an id with a NUL', 'change-publisher', { 'ce-id': '%00' }],
    ['no CloudEvent', 'change-publisher', { 'ce-type': '' }],
  ])('of %s is refused for good', async ([, consumer, headers], { db }) => {
    const { send } = await letter(db)
    expect((await send(consumer, headers)).status).toBe(422)
    expect(await db.selectFrom('deliveries').select('state').distinct().execute()).toEqual([{ state: 'pending' }])
  })
})
