import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished } from 'vitest'
import { eventually } from '../../test/support/wait.ts'
import { addHook, addProject, deliver, labeled, startGateway, test } from './testing/gateway.ts'
import { waker } from './wake.ts'

async function listening() {
  const paths: string[] = []
  const server = createServer((request, response) => {
    paths.push(request.url ?? '')
    response.end('ok')
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, paths }
}

test('each function is knocked at once in a while, however many deliveries come', async () => {
  const [one, other] = [await listening(), await listening()]
  let time = 0
  const wake = waker([one.url, other.url], () => time)
  for (let delivery = 0; delivery < 100; delivery += 1) wake()
  await eventually(() => one.paths.length + other.paths.length === 2, { what: 'two knocks' })
  time = 5_000
  wake()
  await eventually(() => one.paths.length + other.paths.length === 4, { what: 'two more' })
  expect(one.paths).toEqual(['/readyz', '/readyz'])
})

test('nobody there is no failure', async () => {
  const there = await listening()
  waker(['http://127.0.0.1:9', there.url])()
  await eventually(() => there.paths.length === 1, { what: 'the other knock' })
})

test('only an authentic delivery of a run label that was set wakes anybody', async ({ databaseUrl, db }) => {
  const router = await listening()
  const gateway = await startGateway(databaseUrl, undefined, { wakes: [router.url] })
  const hook = await addHook(db, await addProject(db, 42))
  const bug = { label: { id: 8, name: 'bug' } }
  await deliver(gateway, hook, { body: labeled(42), signature: `sha256=${'0'.repeat(64)}` })
  await deliver(gateway, hook, { body: labeled(42, bug) })
  await deliver(gateway, hook, { body: labeled(42, { action: 'unlabeled' }) })
  await deliver(gateway, hook, { body: labeled(43) })
  // A knock is sent before its delivery is answered, so it would be here before this one.
  await fetch(`${router.url}/marker`)
  await deliver(gateway, hook, { body: labeled(42) })
  await eventually(() => router.paths.length > 1, { what: 'a knock' })
  expect(router.paths).toEqual(['/marker', '/readyz'])
  expect(await db.selectFrom('inbox').select('id').execute()).toHaveLength(4)
})
