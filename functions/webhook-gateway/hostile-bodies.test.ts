import { describe, expect } from 'vitest'
import { EVENT_TYPES } from '#shared/events/types.ts'
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

describe('a hostile body', () => {
  test('W14-W17: is set aside as it came, whatever is wrong with it', async ({ databaseUrl, db }) => {
    const gateway = await startGateway(databaseUrl)
    const project = await addProject(db, 42)
    const hook = await addHook(db, project)
    const whole = JSON.stringify(labeled(42))
    const cases: readonly (readonly [Uint8Array | string, string])[] = [
      ['', 'not_json'],
      ['[]', 'not_an_object'],
      [Buffer.from([0xff, 0xfe, 0x00]), 'not_utf8'],
      [`\ufeff${whole}`, 'not_json'],
      [whole.replace('A bug', '\\u0000'), 'unstorable_text'],
      [whole.replace('A bug', '\\ud800'), 'unstorable_text'],
      [whole.replace('"id":42', '"id":12345678901234567890'), 'unsafe_id'],
      [whole.replace('"label":', '"label":{"name":"run:qa"},"label":'), 'duplicate_key'],
      [`{"a":${'['.repeat(1_000_000)}`, 'too_deep'],
      [whole.replace('"id":42', '"id":"42"'), 'repository_missing'],
    ]
    for (const [body, reason] of cases) {
      expect((await deliver(gateway, hook, { body })).json).toEqual({ state: 'quarantined', reason, duplicate: false })
    }
    const rows = await db.selectFrom('inbox').select(['body', 'reason', 'project_id']).orderBy('received_at').execute()
    expect(rows.map(({ body }) => body.toString('hex'))).toEqual(
      cases.map(([body]) => Buffer.from(body).toString('hex')),
    )
    expect(new Set(rows.map(({ project_id }) => project_id))).toEqual(new Set([project]))
    await expectNothingLost(db)
  })

  test('W24: in titles, labels and refs changes nothing but itself', async ({ databaseUrl, db }) => {
    const broker = await startBroker()
    const gateway = await startGateway(databaseUrl, broker.url)
    const hook = await addHook(db, await addProject(db, 42))
    const texts = [
      "'; drop table inbox; --",
      '${jndi:ldap://x}',
      '\r\nce-type: forged',
      '\u202e\u0007',
      '{{7*7}}',
      '../../etc/passwd',
      '%00%0d%0a',
      '\u{1f600}'.repeat(200),
      'a'.repeat(100_000),
    ]
    for (const text of texts) {
      const issue = { ...(labeled(42)['issue'] as object), title: text, body: text }
      const answer = await deliver(gateway, hook, {
        body: labeled(42, { issue, label: { name: text }, __proto__: { isAdmin: true } }),
      })
      expect([text, answer.json]).toEqual([text, { state: 'accepted', duplicate: false }])
      const { label: _, issue: __, ...rest } = labeled(42)
      const create = await deliver(gateway, hook, {
        event: 'create',
        body: { ...rest, ref: text, ref_type: 'branch', master_branch: 'main' },
      })
      expect([text, create.status]).toEqual([text, 202])
    }
    expect(({} as { isAdmin?: boolean }).isAdmin).toBeUndefined()
    const types = broker.posts.map(({ headers }) => headers['ce-type'])
    expect(new Set(types.filter((type) => type !== EVENT_TYPES.webhookQuarantined))).toEqual(
      new Set(['com.github.issues.labeled', 'com.github.create.branch']),
    )
    await expectNothingLost(db)
  })

  test('W8: in headers that name another server is not looked at', async ({ databaseUrl, db }) => {
    const attacker = await startBroker()
    const gateway = await startGateway(databaseUrl, (await startBroker()).url)
    const hook = await addHook(db, await addProject(db, 42))
    const host = new URL(attacker.url).host
    const headers = { 'x-github-enterprise-host': host, 'x-forwarded-host': host, 'x-original-url': attacker.url }
    expect((await deliver(gateway, hook, { body: labeled(42), headers })).status).toBe(202)
    expect(attacker.posts).toEqual([])
  })
})
