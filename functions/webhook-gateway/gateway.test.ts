import { randomUUID } from 'node:crypto'
import { describe, expect } from 'vitest'
import { documented, expected, recorded } from './testing/adapter-document.ts'
import {
  addHook,
  addProject,
  deliver,
  expectNothingLost,
  labeled,
  startBroker,
  startGateway,
  test,
} from './testing/gateway.ts'

describe('a delivery', () => {
  test('becomes an inbox row, an event with its record, and a message on the broker', async ({ databaseUrl, db }) => {
    const broker = await startBroker()
    const gateway = await startGateway(databaseUrl, broker.url)
    const project = await addProject(db, 42)
    const hook = await addHook(db, project)
    const delivery = randomUUID()
    const body = labeled(42)
    const answer = await deliver(gateway, hook, { body, delivery })
    expect([answer.status, answer.json]).toEqual([202, { state: 'accepted', duplicate: false }])

    const { body: bytes, ...inbox } = await db.selectFrom('inbox').selectAll().executeTakeFirstOrThrow()
    expect(bytes.toString()).toBe(JSON.stringify(body))
    expect(inbox).toMatchObject({
      hook_id: hook,
      delivery_id: delivery,
      event_name: 'issues',
      project_id: project,
      state: 'accepted',
      reason: null,
    })

    const outbox = await db.selectFrom('outbox').selectAll().executeTakeFirstOrThrow()
    const event = {
      source: 'https://api.github.com/repos/octo/repo',
      id: delivery,
      type: 'com.github.issues.labeled',
      subject: '7',
      time: '2026-01-02T03:04:05Z',
      extensions: {
        provider: 'github',
        project,
        repository: '42',
        action: 'labeled',
        labelgroup: 'run',
        label: 'run:dev',
        partitionkey: '42#7',
      },
      data: null,
    }
    expect(outbox.event).toEqual(event)
    const row = { ...inbox, received_at: inbox.received_at.toISOString() }
    expect(outbox.record).toEqual({ ...event, producer: 'webhook-gateway', rows: { inbox: [row] } })
    expect(outbox.sent_at).not.toBeNull()
    const consumers = await db.selectFrom('deliveries').select('consumer').orderBy('consumer').execute()
    expect(consumers.map(({ consumer }) => consumer)).toEqual(['audit-sink', 'label-router'])

    expect(broker.posts).toHaveLength(1)
    expect(broker.posts[0]?.body).toBe(JSON.stringify(body))
    expect(broker.posts[0]?.headers).toMatchObject({
      'content-type': 'application/json',
      'ce-id': delivery,
      'ce-source': event.source,
      'ce-type': event.type,
      'ce-subject': '7',
      'ce-labelgroup': 'run',
      'ce-partitionkey': '42#7',
    })
    await expectNothingLost(db)
  })

  test('above 60 KiB travels by reference', async ({ databaseUrl, db }) => {
    const broker = await startBroker()
    const gateway = await startGateway(databaseUrl, broker.url)
    const hook = await addHook(db, await addProject(db, 42))
    await deliver(gateway, hook, { body: labeled(42, { padding: 'x'.repeat(61_440) }) })
    const inbox = await db.selectFrom('inbox').select('id').executeTakeFirstOrThrow()
    expect(broker.posts[0]).toMatchObject({ body: '', headers: { 'ce-dataref': `/inbox/${inbox.id}` } })
  })

  test(`of each of the ${recorded.length} recorded bodies is accepted with the attributes of the document`, async ({
    databaseUrl,
    db,
  }) => {
    const broker = await startBroker()
    const gateway = await startGateway(databaseUrl, broker.url)
    const app = await addHook(db, null)
    const hooks = new Map<number, string>()
    for (const { event, body } of recorded) {
      const id = (body['repository'] as { id: number } | undefined)?.id
      if (id !== undefined && !hooks.has(id)) hooks.set(id, await addHook(db, await addProject(db, id)))
      const delivery = randomUUID()
      const hook = id === undefined ? app : (hooks.get(id) ?? '')
      const answer = await deliver(gateway, hook, { body, event, delivery })
      expect([event, answer.status, answer.json]).toEqual([event, 202, { state: 'accepted', duplicate: false }])
      const row = await db
        .selectFrom('outbox')
        .select('event')
        .where('event_id', '=', delivery)
        .executeTakeFirstOrThrow()
      const post = broker.posts.find(({ headers }) => headers['ce-id'] === delivery)?.headers ?? {}
      const { source, subject } = row.event
      const sent = [post['ce-source'], post['ce-subject'] ?? ''].map((each) => decodeURIComponent(String(each)))
      expect([event, ...sent]).toEqual([event, source, subject])
      if (!documented.includes(event)) continue
      const want = expected(event, body)
      expect({ event, ...row.event }).toMatchObject({
        event,
        ...(want?.source === undefined ? {} : { source: want.source }),
        ...(want?.time === undefined ? {} : { time: want.time }),
        type: want?.type,
        subject: want?.subject ?? '',
      })
    }
    expect(broker.posts).toHaveLength(recorded.length)
    await expectNothingLost(db)
  }, 120_000)

  test('W7: under the name of each of 20 events, only the right one of 20 bodies is an event', async ({
    databaseUrl,
    db,
  }) => {
    const gateway = await startGateway(databaseUrl)
    const names =
      'issues issue_comment pull_request pull_request_review pull_request_review_comment push label milestone create delete fork star watch release public status member check_run deployment workflow_run'.split(
        ' ',
      )
    const bodies = names.map((name) => recorded.find(({ event }) => event === name)?.body ?? {})
    const hooks = new Map<number, string>()
    for (const [row, body] of bodies.entries()) {
      const { id } = body['repository'] as { id: number }
      const hook = hooks.get(id) ?? (await addHook(db, await addProject(db, id)))
      hooks.set(id, hook)
      const answers = await Promise.all(names.map((event) => deliver(gateway, hook, { body, event })))
      for (const [column, { status, json }] of answers.entries()) {
        const want =
          row === column
            ? { state: 'accepted', duplicate: false }
            : { state: 'quarantined', reason: 'event_mismatch', duplicate: false }
        expect([names[row], names[column], status, json]).toEqual([names[row], names[column], 202, want])
      }
    }
    expect(await db.selectFrom('outbox').select('id').where('inbox_id', 'is not', null).execute()).toHaveLength(
      names.length,
    )
    await expectNothingLost(db)
  }, 60_000)
})
