import { randomUUID } from 'node:crypto'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import { sql } from 'kysely'
import { describe, expect, onTestFinished } from 'vitest'
import { test } from '../../test/support/database.ts'
import type { Db } from '#shared/db/connect.ts'
import { transaction } from '#shared/db/transaction.ts'
import { readEvent } from '#shared/edge/read-event.ts'
import { emit, emitBeside, type Emission } from '#shared/outbox/write.ts'
import type { Post } from '#shared/outbox/post.ts'
import { createRelay } from '#shared/outbox/relay.ts'

/** A broker that answers by a function and keeps what it accepted. */
async function broker(status: (id: string) => number = () => 202) {
  const posts: { id: string; headers: IncomingHttpHeaders; body: string }[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const id = String(request.headers['ce-id'])
      posts.push({ id, headers: request.headers, body: Buffer.concat(chunks).toString('utf8') })
      response.writeHead(status(id)).end()
    })
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { posts, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` }
}

const write = (db: Db, more: Partial<Emission> = {}) =>
  transaction(db, (tx) =>
    emit(tx, 'test', { type: 'test.happened', subject: 's', extensions: {}, data: { a: 1 }, rows: {}, ...more }),
  )
const unsent = async (db: Db) =>
  (await db.selectFrom('outbox').select('id').where('sent_at', 'is', null).execute()).map(({ id }) => id)

describe('the relay', () => {
  test('posts what was written, marks it, and posts it no more', async ({ db }) => {
    const { posts, url } = await broker()
    const relay = createRelay({ db, brokerUrl: url, deadlineMs: 2_000 })
    const id = await write(db)
    await relay.after([id])
    await relay.after([id])
    expect(await relay.overdue(0)).toBe(0)
    expect(posts.map((one) => [one.id, one.headers['ce-type'], one.body])).toEqual([[id, 'test.happened', '{"a":1}']])
    expect(await unsent(db)).toEqual([])
  })

  test('C11 any number of relays at once post each row once', async ({ db }) => {
    const { posts, url } = await broker()
    const ids = await Promise.all(Array.from({ length: 40 }, () => write(db)))
    const relays = Array.from({ length: 4 }, () => createRelay({ db, brokerUrl: url, deadlineMs: 5_000 }))
    const sent = await Promise.all(relays.map((relay) => relay.overdue(0)))
    expect(sent.reduce((sum, count) => sum + count, 0)).toBe(40)
    expect(posts.map(({ id }) => id).toSorted()).toEqual(ids.toSorted())
  })

  test('a row that another relay holds is left to it, until its lease is over', async ({ db }) => {
    const { posts, url } = await broker()
    const relay = createRelay({ db, brokerUrl: url, deadlineMs: 2_000 })
    const id = await write(db)
    const held = (until: string) =>
      db
        .updateTable('outbox')
        .set({ lease: sql`gen_random_uuid()`, lease_until: sql`now() + ${until}::interval` })
        .execute()
    await held('30 seconds')
    await relay.after([id])
    expect(posts).toEqual([])
    await held('-1 second')
    await relay.after([id])
    expect(posts).toHaveLength(1)
  })

  test.for([400, 404, 413, 429, 500, 503])(
    'F6 what the broker answers with %i stays, and is put off longer each time',
    async (status, { db }) => {
      const { posts, url } = await broker(() => status)
      const relay = createRelay({ db, brokerUrl: url, deadlineMs: 2_000 })
      const id = await write(db)
      const delays = []
      for (let round = 0; round < 3; round += 1) {
        await relay.after([id])
        const { seconds } = await db
          .selectFrom('outbox')
          .select(sql<number>`extract(epoch from due_at - now())::float`.as('seconds'))
          .executeTakeFirstOrThrow()
        delays.push(Math.round(seconds))
      }
      expect(delays).toEqual([2, 4, 8])
      expect(posts).toHaveLength(3)
      expect(await unsent(db)).toEqual([id])
      expect(await relay.overdue(0)).toBe(0)
    },
  )

  test('a broker that is away, or does not answer in time, costs no more than the deadline', async ({ db }) => {
    const id = await write(db)
    const never: Post = (_, { timeoutMs }) =>
      new Promise((_resolve, reject) => setTimeout(() => reject(new Error('late')), timeoutMs))
    await createRelay({ db, brokerUrl: 'http://127.0.0.1:9', deadlineMs: 50, post: never }).after([id])
    await createRelay({ db, brokerUrl: 'http://127.0.0.1:9', deadlineMs: 2_000 }).after([id])
    expect(await unsent(db)).toEqual([id])
  })

  test('F22 an event that cannot even be written down holds up no other', async ({ db }) => {
    const { posts, url } = await broker()
    const bad = await write(db)
    await db
      .updateTable('outbox')
      .set({ event: sql`jsonb_set(event, '{type}', '""')`, due_at: new Date(0) })
      .where('id', '=', bad)
      .execute()
    const good = await write(db)
    expect(await createRelay({ db, brokerUrl: url, deadlineMs: 2_000 }).overdue(0)).toBe(1)
    expect(posts.map(({ id }) => id)).toEqual([good])
    expect(await unsent(db)).toEqual([bad])
  })

  test('F31 a row that commits after one with a larger number was sent is sent, too', async ({ db }) => {
    const { posts, url } = await broker()
    const relay = createRelay({ db, brokerUrl: url, deadlineMs: 2_000 })
    const numbered = Promise.withResolvers<void>()
    const mayCommit = Promise.withResolvers<void>()
    const slow = transaction(db, async (tx) => {
      const id = await emit(tx, 'test', { type: 'a.b', subject: 's', extensions: {}, data: {}, rows: {} })
      numbered.resolve()
      await mayCommit.promise
      return id
    })
    await numbered.promise
    const fast = await write(db)
    expect(await relay.overdue(0)).toBe(1)
    mayCommit.resolve()
    const late = await slow
    expect(await relay.overdue(0)).toBe(1)
    expect(posts.map(({ id }) => id)).toEqual([fast, late])
    const { rows } = await sql<{ id: string }>`select id from outbox order by seq`.execute(db)
    expect(rows.map(({ id }) => id)).toEqual([late, fast])
  })

  test('a request takes along rows of others that are overdue, twenty at most', async ({ db }) => {
    const { posts, url } = await broker()
    await Promise.all(Array.from({ length: 25 }, () => write(db)))
    const relay = () => createRelay({ db, brokerUrl: url, deadlineMs: 2_000 })
    await relay().after([])
    expect(posts).toEqual([])
    await db
      .updateTable('outbox')
      .set({ due_at: sql`now() - interval '6 seconds'` })
      .execute()
    const busy = relay()
    await busy.after([])
    expect(posts).toHaveLength(20)
    // Under load a process looks for them once a second and not at each request.
    await busy.after([])
    expect(posts).toHaveLength(20)
    await relay().after([])
    expect(posts).toHaveLength(25)
  })

  test('a row that was written under a lease is posted without a claim, and marked under that lease only', async ({
    db,
  }) => {
    const { posts, url } = await broker()
    const relay = createRelay({ db, brokerUrl: url, deadlineMs: 2_000 })
    const lease = randomUUID()
    const emission = { type: 'test.happened', subject: 's', extensions: {}, data: { a: 1 }, rows: {} }
    const besides = [randomUUID(), randomUUID()]
    const rows = await emitBeside(
      db,
      'test',
      sql`select unnest(${besides}::uuid[]) as id`,
      [...besides, randomUUID()].map((beside) => ({ ...emission, beside })),
      lease,
    )
    expect(rows.map(({ beside }) => beside)).toEqual(besides)
    const [mine, lost] = rows.map((row) => ({ ...row, lease, body: Buffer.alloc(0) }))
    expect(await relay.overdue(0), 'what a sweep takes while the lease lasts').toBe(0)
    await db.updateTable('outbox').set({ lease: randomUUID() }).where('id', '=', lost!.id).execute()
    await relay.after([mine!, lost!])
    expect(posts.map(({ id }) => id).toSorted()).toEqual(rows.map(({ id }) => id).toSorted())
    expect(await unsent(db)).toEqual([lost!.id])
    await db
      .updateTable('outbox')
      .set({ lease_until: sql`now() - interval '1 second'` })
      .execute()
    expect(await relay.overdue(0), 'what a sweep takes when it has ended').toBe(1)
  })

  test('any Unicode in attributes goes over the wire and comes back from our own reader', async ({ db }) => {
    const { posts, url } = await broker()
    const relay = createRelay({ db, brokerUrl: url, deadlineMs: 5_000 })
    const texts = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 }).filter((text) => !text.includes('\0'))
    await fc.assert(
      fc.asyncProperty(texts, texts, async (subject, label) => {
        await relay.after([await write(db, { subject, extensions: { label } })])
        const { headers } = posts.at(-1) as (typeof posts)[0]
        const given = Object.entries(headers).filter(([name]) => name.startsWith('ce-') || name === 'content-type')
        const read = await readEvent(
          new Request('http://x/', { method: 'POST', headers: given as [string, string][], body: '{}' }),
        )
        expect(read.attributes).toMatchObject({ subject, label })
        expect(JSON.stringify(given)).toMatch(/^[\x20-\x7e]*$/)
      }),
      { numRuns: 40 },
    )
  })

  test('T9 a body above 60 KiB does not travel; its inbox row is named instead', async ({ db }) => {
    const { posts, url } = await broker()
    await db
      .insertInto('hooks')
      .values({ id: 'hook0001', provider: 'github', instance: 'https://x', project_id: null, secret_name: 'main' })
      .execute()
    const body = Buffer.from(JSON.stringify({ text: 'x'.repeat(61 * 1024) }))
    const { id: inboxId } = await db
      .insertInto('inbox')
      .values({
        hook_id: 'hook0001',
        delivery_id: 'd',
        event_name: 'issues',
        body,
        body_digest: '0'.repeat(64),
        project_id: null,
        state: 'accepted',
      })
      .returning('id')
      .executeTakeFirstOrThrow()
    const forge = { inboxId, source: 'https://github.com/a/b', id: 'd', time: new Date().toISOString() }
    const id = await write(db, { data: null, subject: '', forge })
    await createRelay({ db, brokerUrl: url, deadlineMs: 2_000 }).after([id])
    expect(posts).toMatchObject([{ id: 'd', body: '' }])
    expect(decodeURIComponent(String(posts[0]?.headers['ce-dataref']))).toBe(`/inbox/${inboxId}`)
    expect(posts[0]?.headers['ce-subject']).toBeUndefined()
  })
})
