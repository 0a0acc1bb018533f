import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { eventually } from '../../test/support/wait.ts'
import {
  SECRET,
  addHook,
  addProject,
  deliver,
  expectNothingLost,
  labeled,
  sign,
  startBroker,
  startGateway,
  test,
} from './testing/gateway.ts'

describe('a hook', () => {
  test("W4: takes no other project's repository, and no other project's secret", async ({ databaseUrl, db }) => {
    const gateway = await startGateway(databaseUrl)
    await gateway.setSecret('a', 'secret of A')
    await gateway.setSecret('b', 'secret of B')
    const [a, b] = [await addProject(db, 1), await addProject(db, 2)]
    const hookA = await addHook(db, a, { current: 'a' })
    const hookB = await addHook(db, b, { current: 'b' })
    const ofB = { body: labeled(2), secret: 'secret of A' }
    expect((await deliver(gateway, hookA, ofB)).json).toEqual({
      state: 'quarantined',
      reason: 'repository_mismatch',
      duplicate: false,
    })
    expect((await deliver(gateway, hookB, ofB)).status).toBe(401)
    expect(await db.selectFrom('outbox').select('id').where('inbox_id', 'is not', null).execute()).toEqual([])
    const inbox = await db.selectFrom('inbox').select(['hook_id', 'project_id']).execute()
    expect(inbox).toEqual([{ hook_id: hookA, project_id: a }])
    await expectNothingLost(db)
  })

  test('W4: of a project takes nothing without a repository but a ping, and nothing once it is disconnected', async ({
    databaseUrl,
    db,
  }) => {
    const gateway = await startGateway(databaseUrl)
    const hook = await addHook(db, await addProject(db, 1))
    const ping = { zen: 'z', hook_id: 5, hook: { url: 'https://api.github.com/hooks/5' }, sender: {} }
    expect((await deliver(gateway, hook, { body: ping, event: 'ping' })).json['state']).toBe('accepted')
    const { repository: _, ...rest } = labeled(1)
    expect((await deliver(gateway, hook, { body: rest })).json['reason']).toBe('repository_missing')
    const gone = await addHook(db, await addProject(db, 2, { state: 'disconnected' }))
    expect((await deliver(gateway, gone, { body: labeled(2) })).json['reason']).toBe('project_disconnected')
    await expectNothingLost(db)
  })

  test('W4: of an App finds the project by repository and installation, on its own instance only', async ({
    databaseUrl,
    db,
  }) => {
    const gateway = await startGateway(databaseUrl)
    const app = await addHook(db, null)
    const project = await addProject(db, 1, { installationId: '77' })
    const body = (repository: number, installation?: number) =>
      labeled(repository, installation === undefined ? {} : { installation: { id: installation } })
    expect((await deliver(gateway, app, { body: body(1, 77) })).json['state']).toBe('accepted')
    for (const stranger of [body(1, 78), body(2, 77), body(1)]) {
      expect((await deliver(gateway, app, { body: stranger })).json['reason']).toBe('project_unknown')
    }
    await db.updateTable('hooks').set({ instance: 'https://forge.example' }).where('id', '=', app).execute()
    expect((await deliver(gateway, app, { body: body(1, 77) })).json['reason']).toBe('project_unknown')
    expect(await db.selectFrom('inbox').select('project_id').where('state', '=', 'accepted').execute()).toEqual([
      { project_id: project },
    ])
    await expectNothingLost(db)
  })

  test('W1, W2, W3, W19: that does not exist cannot be told from a wrong signature, none, or no usable secret', async ({
    databaseUrl,
    db,
  }) => {
    const gateway = await startGateway(databaseUrl)
    const project = await addProject(db, 42)
    await gateway.setSecret('empty', '')
    const [hook, empty, missing] = [
      await addHook(db, project),
      await addHook(db, project, { current: 'empty' }),
      await addHook(db, project, { current: 'missing' }),
    ]
    const gitlab = await addHook(db, project)
    await db.updateTable('hooks').set({ provider: 'gitlab' }).where('id', '=', gitlab).execute()
    const body = labeled(42)
    const answers = [
      await deliver(gateway, hook, { body, secret: 'wrong' }),
      await deliver(gateway, hook, { body, signature: '' }),
      await deliver(gateway, hook, { body, signature: sign(body).toUpperCase() }),
      await deliver(gateway, hook, { body, signature: '', headers: { 'x-hub-signature': sign(body) } }),
      await deliver(gateway, empty, { body, signature: sign(body, '') }),
      await deliver(gateway, missing, { body, signature: sign(body, '') }),
      await deliver(gateway, 'nosuchhook', { body }),
      await deliver(gateway, gitlab, { body }),
      await deliver(gateway, 'x'.repeat(300), { body }),
      await deliver(gateway, "'%3B--", { body }),
      await deliver(gateway, '%00', { body }),
    ]
    for (const { status, text, headers } of answers) {
      expect([status, text]).toEqual([401, answers[0]?.text])
      expect(headers.get('content-type')).toBe('application/problem+json')
      expect([...headers.keys()].toSorted()).toEqual([...(answers[0]?.headers.keys() ?? [])].toSorted())
    }
    expect(await db.selectFrom('inbox').select('id').execute()).toEqual([])
    expect((await deliver(gateway, hook, { body })).status).toBe(202)
  })

  test('W21: takes the old secret until it ends by the clock of the database, and says so', async ({
    databaseUrl,
    db,
  }) => {
    const gateway = await startGateway(databaseUrl)
    await gateway.setSecret('old', 'the old one')
    await gateway.setSecret('new', 'the new one')
    const project = await addProject(db, 42)
    const status = async (hook: string, secret: string) =>
      (await deliver(gateway, hook, { body: labeled(42), secret })).status
    const before = await addHook(db, project, { current: 'old' })
    expect([await status(before, 'the old one'), await status(before, 'the new one')]).toEqual([202, 401])
    expect(gateway.log.join('')).not.toContain('previous secret')
    const during = await addHook(db, project, {
      current: 'new',
      previous: 'old',
      previousUntil: new Date(Date.now() + 60_000),
    })
    expect([await status(during, 'the old one'), await status(during, 'the new one')]).toEqual([202, 202])
    expect(gateway.log.filter((line) => line.includes('signed with the previous secret'))).toHaveLength(1)
    const after = await addHook(db, project, {
      current: 'new',
      previous: 'old',
      previousUntil: new Date(Date.now() - 1),
    })
    expect([await status(after, 'the old one'), await status(after, 'the new one')]).toEqual([401, 202])
    expect(gateway.log.join('')).not.toMatch(/the (old|new) one/)
  })

  test('W21: whose secret changes in its file is held against the new one from the next delivery on', async ({
    databaseUrl,
    db,
  }) => {
    const gateway = await startGateway(databaseUrl)
    const hook = await addHook(db, await addProject(db, 42))
    const status = async (secret: string) => (await deliver(gateway, hook, { body: labeled(42), secret })).status
    for (const [now, other] of [
      ['secret 1', 'secret 2'],
      ['secret 2', 'secret 1'],
      ['secret 1', 'secret 2'],
    ] as const) {
      // The same length, and within the same second: only the file itself tells.
      await gateway.setSecret('main', now)
      expect([await status(now), await status(other), await status(now)]).toEqual([202, 401, 202])
    }
    await gateway.setSecret('main', '')
    expect(await status('secret 1')).toBe(401)
  })

  test('W21: a rotation under load refuses nothing', async ({ databaseUrl, db }) => {
    const gateway = await startGateway(databaseUrl, (await startBroker()).url)
    const hook = await addHook(db, await addProject(db, 42))
    await gateway.setSecret('next', 'the next one')
    const statuses: number[] = []
    let secret = SECRET
    let ending = false
    const sender = async () => {
      while (!ending) statuses.push((await deliver(gateway, hook, { body: labeled(42), secret })).status)
    }
    const senders = Array.from({ length: 8 }, sender)
    const more = (count: number) => {
      const before = statuses.length
      return eventually(() => statuses.length >= before + count, { what: `${count} deliveries`, timeoutMs: 60_000 })
    }
    await more(50)
    const previousUntil = sql<Date>`now() + interval '1 hour'`
    const names = { secret_name: 'next', previous_secret_name: 'main', previous_until: previousUntil }
    await db.updateTable('hooks').set(names).execute()
    await more(50)
    secret = 'the next one'
    // Every sender has had an answer to what it signed with the secret before.
    await more(50)
    await db.updateTable('hooks').set({ previous_secret_name: null, previous_until: null }).execute()
    await more(50)
    ending = true
    await Promise.all(senders)
    expect(new Set(statuses)).toEqual(new Set([202]))
    expect((await deliver(gateway, hook, { body: labeled(42), secret: SECRET })).status).toBe(401)
    await expectNothingLost(db)
  }, 120_000)
})
