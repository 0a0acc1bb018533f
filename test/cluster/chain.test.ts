import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, onTestFailed, test } from 'vitest'
import { openDoor, type Door } from './door.ts'
import { loadImages } from './images.ts'
import { list, notReady, type Resource } from './kubectl.ts'
import { apply, diagnosis, NAMESPACE, removeNamespace, render, writeOverlay } from './platform.ts'
import { startWorld, type World } from './world.ts'

// First contact: the manifests as they are, the bundles as images, one delivery. Each test goes on where the one before ended.

let world: World
let door: Door
let resources: readonly Resource[]
const kinds = (...wanted: readonly string[]) => resources.filter(({ kind }) => wanted.includes(kind))
const ofFunctions = ['--selector', 'serving.knative.dev/service']
const podNames = async () => (await list('pods', NAMESPACE, ...ofFunctions)).map(({ metadata }) => metadata.name)
// Knative's own settings are a stable window of 60 s and 30 s of grace.
const allAtZero = () => expect.poll(podNames, { timeout: 240_000, interval: 1_000 }).toEqual([])

beforeAll(async () => {
  await removeNamespace()
  world = await startWorld()
  const images = await loadImages(join(world.folder, 'bundles'))
  const overlay = writeOverlay(join(world.folder, 'overlay'), {
    images,
    config: { githubUrl: world.forgeUrl, gitUrl: world.forgeUrl },
    secrets: {
      database: { url: world.databaseUrl, auditUrl: world.auditDatabaseUrl },
      hooks: { [world.hook.secretName]: world.hook.secret },
      forge: { token: world.forgeToken },
      'run-token': { key: randomBytes(32).toString('hex') },
    },
  })
  resources = await render(overlay)
})

beforeEach(() => {
  onTestFailed(async () => void process.stderr.write(`${await diagnosis()}\n`))
})

afterAll(async () => {
  door?.stop()
  await removeNamespace()
  await world?.stop()
})

test('the API server takes every manifest, with unknown fields refused', async () => {
  // Knative's webhook tries a pod of each Service in its namespace, Pod Security included: what that needs comes first.
  const first = kinds('Namespace', 'ServiceAccount', 'ConfigMap', 'Secret')
  await apply(first)
  const rest = resources.filter((resource) => !first.includes(resource))
  const said = await apply(rest, '--dry-run=server')
  expect(said.trim().split('\n')).toHaveLength(rest.length)
  expect(kinds('Service').map(({ metadata }) => metadata.name)).toContain('webhook-gateway')
  expect(kinds('Trigger').length).toBeGreaterThan(20)
})

test('the manifests apply and everything becomes ready', async () => {
  await apply(resources)
  const waiting = async () => notReady(await list('ksvc,broker,trigger,pingsource', NAMESPACE))
  await expect.poll(waiting, { timeout: 150_000, interval: 1_000 }).toEqual([])
})

test('with nothing to do no pod is left', async () => {
  const deployments = await list('deployments', NAMESPACE, ...ofFunctions)
  expect(deployments).toHaveLength(kinds('Service').length)
  await allAtZero()
})

test('the gateway takes the ping of a new hook and refuses a wrong signature', async () => {
  const service = (await list('ksvc', NAMESPACE)).find(({ metadata }) => metadata.name === 'webhook-gateway')
  door = await openDoor(service?.status?.url ?? '')
  const path = `/hooks/github/${world.hook.id}`
  await world.alice('POST', '/repos/alice/calc/issues', { title: 'add subtracts', body: 'add(1, 2) is -1.' })
  await world.connectHook(`${door.url}${path}`)
  const ping = () => door.passed.find(({ event }) => event === 'ping')
  await expect.poll(ping, { timeout: 30_000 }).toMatchObject({ status: 202 })
  const headers = {
    'content-type': 'application/json',
    'x-github-event': 'issues',
    'x-github-delivery': 'forged',
    'x-hub-signature-256': `sha256=${'0'.repeat(64)}`,
  }
  expect(await door.send(path, headers, Buffer.from('{}'))).toMatchObject({ status: 401 })
})

test('with everything at zero a signed delivery goes through gateway and broker to the ledger', async () => {
  await allAtZero()
  const since = performance.now()
  await world.alice('POST', '/repos/alice/calc/issues/1/labels', { labels: ['run:dev'] })

  const labeled = () => door.passed.find(({ event, delivery }) => event === 'issues' && delivery !== 'forged')
  await expect
    .poll(labeled, { timeout: 30_000 })
    .toMatchObject({ status: 202, body: '{"state":"accepted","duplicate":false}' })
  const inLedger = () =>
    world.db
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
  const runs = () => world.db.selectFrom('runs').select(['stage', 'requester_login']).execute()
  await expect.poll(runs, { timeout: 60_000 }).toEqual([{ stage: 'dev', requester_login: 'alice' }])
})

test('what the run says of itself comes to the ledger too, and nothing is lost', async () => {
  const types = async () => {
    const rows = await world.db
      .selectFrom('ledger')
      .innerJoin('outbox', 'outbox.id', 'ledger.outbox_id')
      .select('outbox.type')
      .execute()
    return rows.map(({ type }) => type)
  }
  await expect.poll(types, { timeout: 60_000 }).toContain('dev.codex-k8s.stage.approved.v1')
  const accounting = await world.db.selectFrom('accounting').selectAll().executeTakeFirst()
  expect(accounting).toMatchObject({ lost: 0, accepted: 2 })
})
