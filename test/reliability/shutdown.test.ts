import { createHmac, randomUUID } from 'node:crypto'
import { createServer, type ServerResponse } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { describe, expect, onTestFinished } from 'vitest'
import { addHook, addProject, deliver, labeled, startBroker } from '../../functions/webhook-gateway/testing/gateway.ts'
import type { Db } from '#shared/db/connect.ts'
import { test } from '../support/database.ts'
import { pauseHooks, recordedDeliveries } from '../support/deliveries.ts'
import { startGatewayProcess } from '../support/gateway-process.ts'
import { expectOnceAndOnlyOnce } from '../support/invariants.ts'
import { endOf } from '../support/processes.ts'
import { eventually } from '../support/wait.ts'
import { startWorld, type World } from '../support/world.ts'

describe('C17: a gateway that is asked to stop', () => {
  test('answers what is under way and ends with 0', async ({ db, databaseUrl }) => {
    const broker = await startHoldingBroker()
    const gateway = await startGatewayProcess(databaseUrl, broker.url)
    const hook = await addHook(db, await addProject(db, 42))
    const underWay = Array.from({ length: 10 }, () => deliver(gateway, hook, { body: labeled(42) }))
    await eventually(() => broker.held.length === 10, { what: 'ten deliveries in the relay' })
    const begun = performance.now()
    const ended = gateway.process.kill('SIGTERM')
    await gateway.process.waitForLine(/"draining"/)
    for (const response of broker.held) response.writeHead(202).end()
    expect((await Promise.all(underWay)).map(({ status }) => status)).toEqual(Array(10).fill(202))
    expect(await ended).toEqual({ code: 0, signal: null })
    expect(performance.now() - begun).toBeLessThan(10_000)
    await expectAccepted(db, 10)
  })

  test('answers or refuses whoever comes meanwhile, and has stored all that it answered', async ({
    db,
    databaseUrl,
  }) => {
    const gateway = await startGatewayProcess(databaseUrl, (await startBroker()).url)
    const hook = await addHook(db, await addProject(db, 42))
    const answered: { status: number; delivery: string }[] = []
    let refused = 0
    const sender = async () => {
      // Until the socket is gone: whatever came before had an answer, and a whole one.
      for (;;) {
        const delivery = randomUUID()
        const answer = await deliver(gateway, hook, { body: labeled(42), delivery }).catch(() => undefined)
        if (answer === undefined) return void (refused += 1)
        answered.push({ status: answer.status, delivery })
      }
    }
    const senders = Promise.all(Array.from({ length: 8 }, sender))
    await eventually(() => answered.length > 50, { what: 'traffic' })
    const begun = performance.now()
    expect(await gateway.process.kill('SIGTERM')).toEqual({ code: 0, signal: null })
    expect(performance.now() - begun).toBeLessThan(10_000)
    await senders
    expect(refused).toBe(8)
    expect(new Set(answered.map(({ status }) => status))).toEqual(new Set([202]))
    const stored = await db.selectFrom('inbox').select('delivery_id').execute()
    const ids = new Set(stored.map(({ delivery_id }) => delivery_id))
    expect(answered.filter(({ delivery }) => !ids.has(delivery))).toEqual([])
    await expectAccepted(db, ids.size)
  })
})

test('C17: all functions asked to stop in the middle of a run end with 0, and the run goes on where it was', async ({
  db,
  databaseUrl,
}) => {
  const world = await startWorld({ db, databaseUrl })
  for (const moment of ['queued', 'running', 'publishing']) {
    await world.label(await world.issue(moment))
    await eventually(async () => (await states(db)).includes(moment) || (await states(db)).at(-1) === 'succeeded', {
      what: `a run that is ${moment}`,
      everyMs: 5,
    })
    const begun = performance.now()
    void world.functions().kill('SIGTERM')
    expect(await endOf(world.functions())).toEqual({ code: 0, signal: null })
    expect(performance.now() - begun).toBeLessThan(10_000)
    await world.restart()
  }
  await world.expireLeases()
  await world.drain()
  await expectOnceAndOnlyOnce(world, db, { runs: 3 })
})

test('a gateway killed right after the last byte of its answer: one sweep later everything is on its way', async ({
  db,
  databaseUrl,
}) => {
  const world = await startWorld({ db, databaseUrl })
  await world.drain()
  await pauseHooks(world, true)
  await world.label(await world.issue())
  const found = await eventually(async () => (await recordedDeliveries(world, 3)).find(isLabeled), {
    what: 'the label',
  })
  await pauseHooks(world, false)
  await postAndKill(world, found?.body ?? '', found?.guid ?? '')
  await world.restart()
  await world.expireLeases()
  await world.sweep()
  // No second sweep: what the first one started has to get to its end alone.
  await eventually(async () => (await states(db)).join() === 'succeeded', { what: 'the run', timeoutMs: 15_000 })
  await world.drain()
  await expectOnceAndOnlyOnce(world, db, { runs: 1 })
})

const isLabeled = ({ body }: { body: string }) => body.includes('"action":"labeled"')

const states = async (db: Db) =>
  (await db.selectFrom('runs').select('state').orderBy('created_at').execute()).map(({ state }) => state as string)

async function expectAccepted(db: Db, count: number): Promise<void> {
  const row = await db.selectFrom('accounting').selectAll().executeTakeFirstOrThrow()
  expect(row).toMatchObject({ accepted: count, pending: count, lost: 0, quarantined: 0, unsent: 0 })
}

/** A broker that answers when it is told to. */
async function startHoldingBroker(): Promise<{ readonly url: string; readonly held: ServerResponse[] }> {
  const held: ServerResponse[] = []
  const server = createServer((request, response) => void request.resume().on('end', () => held.push(response)))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, held }
}

/** Posts over a bare socket and kills the process in the same turn in which the whole answer has come. */
async function postAndKill(world: World, body: string, guid: string): Promise<void> {
  const { hostname, port, pathname } = new URL(world.hookUrl)
  const signature = createHmac('sha256', world.hookSecret).update(body).digest('hex')
  const head = [
    `POST ${pathname} HTTP/1.1`,
    `host: ${hostname}`,
    'content-type: application/json',
    'x-github-event: issues',
    `x-github-delivery: ${guid}`,
    `x-hub-signature-256: sha256=${signature}`,
    `content-length: ${Buffer.byteLength(body)}`,
  ]
  const socket = connect(Number(port), hostname, () => socket.write(`${head.join('\r\n')}\r\n\r\n${body}`))
  let answer = ''
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject)
    socket.setEncoding('utf8').on('data', (text: string) => {
      answer += text
      if (!/\r\n\r\n.*\}/s.test(answer)) return
      process.kill(world.functions().pid, 'SIGKILL')
      resolve()
    })
  })
  expect(answer).toMatch(/^HTTP\/1\.1 202 /)
  await world.functions().exited
  socket.destroy()
}
