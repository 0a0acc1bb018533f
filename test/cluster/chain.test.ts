import { afterAll, beforeAll, beforeEach, expect, inject, onTestFailed, test } from 'vitest'
import { list, notReady } from './kubectl.ts'
import { openPlace, type Place } from './place.ts'
import { apply, diagnosis, NAMESPACE, OF_FUNCTIONS, render } from './platform.ts'

// First contact: the manifests as they are, the bundles as images, one delivery. Each test goes on where the one before ended.

let place: Place
const podNames = async () => (await list('pods', NAMESPACE, ...OF_FUNCTIONS)).map(({ metadata }) => metadata.name)
// Knative's own settings are a stable window of 60 s and 30 s of grace.
const toZero = { timeout: 240_000, interval: 1_000 }

beforeAll(async () => {
  place = await openPlace('chain')
})

beforeEach(() => {
  onTestFailed(async () => void process.stderr.write(`${await diagnosis()}\n`))
})

afterAll(() => place?.close())

test('the API server takes every manifest, with unknown fields refused', async () => {
  const resources = await render(inject('installed').overlay)
  const said = await apply(resources, '--dry-run=server')
  expect(said.trim().split('\n')).toHaveLength(resources.length)
  const names = resources.filter(({ kind }) => kind === 'Service').map(({ metadata }) => metadata.name)
  expect(names).toContain('webhook-gateway')
  expect(resources.filter(({ kind }) => kind === 'Trigger').length).toBeGreaterThan(20)
})

test('everything is ready', async () => {
  expect(notReady(await list('ksvc,broker,trigger,pingsource', NAMESPACE))).toEqual([])
})

test('the gateway takes the ping of a new hook and refuses a wrong signature', async () => {
  const { door, repository } = place
  const ping = () => door.passed.find(({ event }) => event === 'ping')
  await expect.poll(ping, { timeout: 30_000 }).toMatchObject({ status: 202 })
  const headers = {
    'content-type': 'application/json',
    'x-github-event': 'issues',
    'x-github-delivery': 'forged',
    'x-hub-signature-256': `sha256=${'0'.repeat(64)}`,
  }
  expect(await door.send(repository.hookPath, headers, Buffer.from('{}'))).toMatchObject({ status: 401 })
})

test('with nothing to do no pod is left', async () => {
  await place.issue('add subtracts')
  await expect.poll(podNames, toZero).toEqual([])
})

test('with everything at zero a signed delivery goes through gateway and broker to the ledger', async () => {
  const { db, door } = place
  const since = performance.now()
  await place.label(1)

  const labeled = () => door.passed.findLast(({ event, delivery }) => event === 'issues' && delivery !== 'forged')
  await expect.poll(() => door.passed.filter(({ event }) => event === 'issues').length, { timeout: 30_000 }).toBe(3)
  expect(labeled()).toMatchObject({ status: 202, body: '{"state":"accepted","duplicate":false}' })
  const inLedger = () =>
    db
      .selectFrom('ledger')
      .innerJoin('outbox', 'outbox.id', 'ledger.outbox_id')
      .select(['outbox.type'])
      .where('outbox.event_id', '=', labeled()?.delivery ?? '')
      .executeTakeFirst()
  await expect.poll(inLedger, { timeout: 60_000 }).toEqual({ type: 'com.github.issues.labeled' })
  const [first, last] = [labeled()?.milliseconds, Math.round(performance.now() - since)]
  process.stdout.write(`from zero: answered 202 after ${first} ms, in the ledger after ${last} ms\n`)
})

test('the same delivery wakes label-router, which makes one run of it', async () => {
  const runs = () => runsOf(place)
  await expect.poll(runs, { timeout: 60_000 }).toEqual([{ stage: 'dev', requester_login: 'alice' }])
})

test('what the run says of itself comes to the ledger too, and nothing is lost', async () => {
  const { db } = place
  const types = async () => {
    const rows = await db
      .selectFrom('ledger')
      .innerJoin('outbox', 'outbox.id', 'ledger.outbox_id')
      .select('outbox.type')
      .execute()
    return rows.map(({ type }) => type)
  }
  await expect.poll(types, { timeout: 60_000 }).toContain('dev.codex-k8s.stage.approved.v1')
  const accounting = await db.selectFrom('accounting').selectAll().executeTakeFirst()
  expect(accounting).toMatchObject({ lost: 0, accepted: 3 })
})

const runsOf = ({ db, repository }: Place) =>
  db.selectFrom('runs').select(['stage', 'requester_login']).where('project_id', '=', repository.projectId).execute()
