import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, expect, onTestFailed, test } from 'vitest'
import { consumersOf, subscriptions } from '#shared/events/subscriptions.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import { eventually } from '../support/wait.ts'
import { kubectl } from './kubectl.ts'
import { openPlace, type Place } from './place.ts'
import { runAsStranger } from './pod.ts'
import { brokerUrl, diagnosis, functionUrl, NAMESPACE } from './platform.ts'

let place: Place
beforeAll(async () => {
  place = await openPlace('fabricated')
})
beforeEach(() => {
  onTestFailed(async () => void process.stderr.write(`${await diagnosis()}\n`))
})
afterAll(() => place?.close())

/** A request of the pod's, and what it was answered. */
interface Said {
  readonly name: string
  readonly status: number
}

test('W25 what another pod makes up and posts to a function or the broker changes nothing', async () => {
  const { db } = place
  await place.label(await place.issue('a real one'))
  const run = await eventually(runOf, { what: 'a run', timeoutMs: 60_000 })
  await over()
  await settled()
  const before = await everything()

  const requests = [...inventions(run.id, place.repository.projectId), ...(await repetitions())]
  const said = JSON.parse(await runAsStranger(poster(requests))) as Said[]
  expect(said).toHaveLength(requests.length)
  const answers = (name: RegExp) => new Set(said.filter((one) => name.test(one.name)).map(({ status }) => status))
  // Who posts to a function is told; the broker takes everything in, and its consumers refuse it.
  expect(answers(/^invented at (?!broker|audit-sink)/)).toEqual(new Set([422]))
  expect(answers(/at broker/)).toEqual(new Set([202]))
  expect(answers(/^again at (?!broker)/)).toEqual(new Set([202]))

  // What the broker handed on was refused twice: by its consumer and, as a dead letter, by the reconciler.
  const letters = inventedLetters(requests)
  await expect.poll(refusedLetters, { timeout: 60_000, interval: 500 }).toBeGreaterThanOrEqual(letters)
  await settled()
  expect(await everything()).toEqual(before)
  const accounting = await db.selectFrom('accounting').selectAll().executeTakeFirst()
  expect(accounting).toMatchObject({ lost: 0, quarantined: 0 })
})

/** Dead letters that nobody wrote: posted as such, or made by the broker of what was posted there. */
function inventedLetters(requests: readonly Request[]): number {
  const woken = ({ headers }: Request) =>
    consumersOf(headers['ce-type'] ?? '', {}).filter((one) => one !== 'audit-sink')
  const invented = requests.filter(({ name }) => name.startsWith('invented'))
  const atBroker = invented.filter(({ url }) => url === brokerUrl).flatMap(woken)
  return atBroker.length + invented.filter(({ url }) => url.includes('/dead-letter/')).length
}

/** How often the reconciler says that it refused something. */
async function refusedLetters(): Promise<number> {
  const selector = 'serving.knative.dev/service=reconciler'
  const where = ['--namespace', NAMESPACE, '--selector', selector, '--container', 'user-container', '--tail', '-1']
  return (await kubectl(['logs', ...where])).split('\n').filter((line) => line.includes('"refused"')).length
}

/** Something to post. */
interface Request {
  readonly name: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Events that nobody wrote, about a run that is there, to everybody who would like to hear of them. */
function inventions(run: string, project: string): Request[] {
  const approved = { run, project, stage: 'dev', attempt: 1 }
  const types = [
    EVENT_TYPES.stageApproved,
    EVENT_TYPES.stageRequested,
    EVENT_TYPES.runFinished,
    EVENT_TYPES.runCancelled,
    EVENT_TYPES.runLost,
    EVENT_TYPES.changePublished,
    EVENT_TYPES.labelFound,
  ]
  const posts = types.flatMap((type) => {
    const places = consumersOf(type, {}).map((consumer) => [consumer, functionUrl(consumer)] as const)
    return [...places, ['broker', brokerUrl] as const].map(([name, url]) =>
      request(`invented at ${name}`, url, { type, source: '/codex-k8s/label-router', id: randomUUID() }, approved),
    )
  })
  const letters = Object.keys(subscriptions).map((consumer) =>
    request(
      `invented at reconciler, as a dead letter of ${consumer}`,
      `${functionUrl('reconciler')}/dead-letter/${consumer}`,
      { type: EVENT_TYPES.runFinished, source: '/codex-k8s/run-gateway', id: randomUUID(), knativeerrorcode: '422' },
      approved,
    ),
  )
  return [...posts, ...letters]
}

/** Real events that are settled, once more and with other content, to their consumers, as dead letters and to the broker. */
async function repetitions(): Promise<Request[]> {
  const rows = await place.db
    .selectFrom('deliveries')
    .innerJoin('outbox', 'outbox.id', 'deliveries.outbox_id')
    .select(['consumer', 'outbox.type', 'outbox.source', 'outbox.event_id as id'])
    .where('consumer', '!=', 'audit-sink')
    .where('deliveries.state', '=', 'done')
    .execute()
  return rows.flatMap(({ consumer, ...event }) => [
    request(`again at ${consumer}`, functionUrl(consumer), event, { run: randomUUID() }),
    request(`again at broker`, brokerUrl, event, { run: randomUUID() }),
    request(
      'again at reconciler',
      `${functionUrl('reconciler')}/dead-letter/${consumer}`,
      { ...event, knativeerrorcode: '422' },
      {},
    ),
  ])
}

function request(name: string, url: string, attributes: Record<string, string>, data: object): Request {
  const all = { specversion: '1.0', time: new Date().toISOString(), ...attributes }
  const headers = Object.fromEntries(Object.entries(all).map(([key, value]) => [`ce-${key}`, value]))
  return { name, url, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(data) }
}

/** Posts each and prints what it was answered. */
function poster(requests: readonly Request[]): string {
  return `
    const said = []
    for (const { name, url, headers, body } of ${JSON.stringify(requests)}) {
      const response = await fetch(url, { method: 'POST', headers, body })
      said.push({ name, status: response.status })
    }
    console.log(JSON.stringify(said))`
}

const runOf = () =>
  place.db.selectFrom('runs').select('id').where('project_id', '=', place.repository.projectId).executeTakeFirst()

/** Until the run has ended well and its comment says so: nothing of ours goes on by itself after that. */
async function over(): Promise<void> {
  const rows = () =>
    place.db
      .selectFrom('runs')
      .innerJoin('comments', 'comments.run_id', 'runs.id')
      .select('runs.id')
      .where('project_id', '=', place.repository.projectId)
      .where('runs.state', '=', 'succeeded')
      .whereRef('comments.wanted', '=', 'comments.done')
      .execute()
  await expect.poll(rows, { timeout: 120_000, interval: 500 }).toHaveLength(1)
}

/** Until every delivery came to its end, the ledger's included. */
async function settled(): Promise<void> {
  const open = async () => {
    const { rows } = await sql<{ open: number }>`
      select (select count(*)::int from deliveries where state = 'pending')
        + (select count(*)::int from outbox left join ledger on ledger.outbox_id = outbox.id where ledger.outbox_id is null) as open`.execute(
      place.db,
    )
    return rows[0]?.open
  }
  await expect.poll(open, { timeout: 120_000, interval: 500 }).toBe(0)
}

/** A digest of each table, but for the one that counts requests to the forge; and what was done there. */
async function everything(): Promise<Record<string, unknown>> {
  const { rows } = await sql<{ name: string }>`
    select tablename as name from pg_tables where schemaname = 'public' and tablename <> 'forge_pace'`.execute(place.db)
  const tables = rows.map(async ({ name }) => {
    const digest = await sql<{ digest: string }>`
      select count(*) || ' ' || coalesce(md5(string_agg(each::text, E'\n' order by each::text)), '') as digest
      from ${sql.table(name)} as each`.execute(place.db)
    return [name, digest.rows[0]?.digest] as const
  })
  const effects = ['comment.created', 'comment.edited', 'pull.created', 'ref.created', 'label.removed']
  const forge = effects.map(async (kind) => [kind, (await place.ledger(kind)).length] as const)
  return Object.fromEntries(await Promise.all([...tables, ...forge]))
}
