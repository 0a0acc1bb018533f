import { randomUUID } from 'node:crypto'
import { createServer, connect as openSocket, type AddressInfo, type Socket } from 'node:net'
import { describe, expect, onTestFinished } from 'vitest'
import { eventually } from '../../test/support/wait.ts'
import {
  addHook,
  addProject,
  deliver,
  expectNothingLost,
  labeled,
  startBroker,
  startGateway,
  test,
  type Answer,
} from './testing/gateway.ts'

/** A wire to the database that a test can cut: what the client says is shown first; `true` cuts after it went through. */
async function wire(
  databaseUrl: string,
  cuts: (said: Buffer) => boolean,
): Promise<{ readonly url: string; silence(): void; cut(): void }> {
  const target = new URL(databaseUrl)
  const sockets = new Set<Socket>()
  let silenced = false
  const server = createServer((client) => {
    if (silenced) return void sockets.add(client)
    const upstream = openSocket(Number(target.port), target.hostname)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => {})
    }
    let cut = false
    client.on('data', (said) => {
      cut ||= cuts(said)
      upstream.write(said)
    })
    upstream.on('data', (answer) => {
      if (cut) client.destroy()
      else client.write(answer)
    })
    client.on('close', () => upstream.end())
    upstream.on('close', () => client.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const url = new URL(databaseUrl)
  url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url: url.href,
    silence() {
      silenced = true
      sockets.forEach((socket) => socket.pause())
    },
    cut: () => sockets.forEach((socket) => socket.destroy()),
  }
}

const isWrite = (said: Buffer) => said.includes('insert into inbox')

describe('without a database', () => {
  test('a delivery is refused for now, at once', async () => {
    const gateway = await startGateway('postgres://nobody@127.0.0.1:9/none')
    const answer = await deliver(gateway, 'nosuchhook', { body: labeled(42) })
    expect([answer.status, answer.headers.get('retry-after'), answer.json['code']]).toEqual([503, '5', 'retry_later'])
  })

  test('that answers, a delivery is refused for now while the forge still listens', async ({ databaseUrl, db }) => {
    const silent = await wire(databaseUrl, () => false)
    const gateway = await startGateway(silent.url)
    const hook = await addHook(db, await addProject(db, 42))
    expect((await deliver(gateway, hook, { body: labeled(42) })).status).toBe(202)
    silent.silence()
    const before = performance.now()
    expect((await deliver(gateway, hook, { body: labeled(42) })).status).toBe(503)
    expect(performance.now() - before).toBeLessThan(5_000)
    silent.cut()
  })

  test('F5 that keeps others waiting for a second, a delivery is refused before any work', async ({
    databaseUrl,
    db,
  }) => {
    const silent = await wire(databaseUrl, () => false)
    const gateway = await startGateway(silent.url)
    const hook = await addHook(db, await addProject(db, 42))
    expect((await deliver(gateway, hook, { body: labeled(42) })).status).toBe(202)
    silent.silence()
    const sent: Promise<void>[] = []
    const answers: Answer[] = []
    const isOverloaded = ({ json }: Answer) => json['code'] === 'overloaded'
    await eventually(
      () => {
        sent.push(deliver(gateway, hook, { body: labeled(42) }).then((answer) => void answers.push(answer)))
        return answers.some(isOverloaded)
      },
      { what: 'a refusal', everyMs: 50 },
    )
    await Promise.all(sent)
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]))
    expect(answers.find(isOverloaded)?.headers.get('retry-after')).toBe('2')
    silent.cut()
  })

  test('the process is still healthy: restarting it would not help', async () => {
    const gateway = await startGateway('postgres://nobody@127.0.0.1:9/none')
    expect((await fetch(`${gateway.url}/healthz`)).status).toBe(200)
  })
})

test('a commit without an answer is no success, and the same delivery again finds what it did', async ({
  databaseUrl,
  db,
}) => {
  const cut = await wire(databaseUrl, isWrite)
  const broker = await startBroker()
  const hook = await addHook(db, await addProject(db, 42))
  const sent = { body: labeled(42), delivery: randomUUID() }
  expect((await deliver(await startGateway(cut.url), hook, sent)).status).toBe(503)
  // The relay that was to have the event never learned of it; its lease ends.
  await db
    .updateTable('outbox')
    .set({ lease_until: new Date(0) })
    .execute()
  const again = await deliver(await startGateway(databaseUrl, broker.url), hook, sent)
  expect([again.status, again.json]).toEqual([202, { state: 'accepted', duplicate: true }])
  expect(broker.posts.map(({ headers }) => headers['ce-id'])).toEqual([sent.delivery])
  expect(await db.selectFrom('outbox').select('id').execute()).toHaveLength(1)
  await expectNothingLost(db)
})

describe('without a broker', () => {
  test('deliveries are accepted, kept and soon not even tried', async ({ databaseUrl, db }) => {
    const broker = await startBroker(503)
    const gateway = await startGateway(databaseUrl, broker.url)
    const hook = await addHook(db, await addProject(db, 42))
    for (let i = 0; i < 10; i += 1) expect((await deliver(gateway, hook, { body: labeled(42) })).status).toBe(202)
    expect(broker.posts).toHaveLength(3)
    const unsent = await db.selectFrom('outbox').select('lease').where('sent_at', 'is', null).execute()
    expect(unsent).toEqual(Array.from({ length: 10 }, () => ({ lease: null })))
    await expectNothingLost(db)
  })
})
