import { afterAll, beforeAll, beforeEach, expect, onTestFailed, test } from 'vitest'
import { redrive } from '#shared/outbox/redrive.ts'
import { startClock } from './clock.ts'
import { openPlace, type Place } from './place.ts'
import { diagnosis } from './platform.ts'

/** Tries of the broker: eight repeats and the first; 51 s of waiting. */
const TRIES = 9

let place: Place
beforeAll(async () => {
  place = await openPlace('poison')
})
beforeEach(() => {
  onTestFailed(async () => void process.stderr.write(`${await diagnosis()}\n`))
})
afterAll(() => place?.close())

test('F22 a poison event is quarantined after its tries, holds up nothing behind it, and a redrive after the repair is one run', async () => {
  const { db } = place
  const [poison, ...behind] = [await place.issue('poison'), await place.issue('behind'), await place.issue('last')]
  // The forge answers something that is no list of events: no outage and no refusal, so it is taken for a fault of ours.
  const path = `/repos/${place.repository.fullName}/issues/${poison}/events`
  await place.fault({ status: 200, body: { no: 'list' } }, { method: 'GET', path, times: 1_000 })
  await place.label(poison)
  await expect.poll(() => tries(path), { timeout: 60_000 }).toBeGreaterThan(0)

  for (const number of behind) await place.label(number)
  await expect.poll(runs, { timeout: 40_000 }).toEqual(behind)
  expect(await stateOf(poison)).toMatchObject({ state: 'pending' })

  await expect
    .poll(() => stateOf(poison), { timeout: 150_000 })
    .toMatchObject({
      state: 'quarantined',
      error: { knativeerrorcode: '500', knativeerrordest: expect.stringContaining('label-router') },
    })
  expect(await tries(path)).toBe(TRIES)

  await place.noFaults()
  const { outbox } = await stateOf(poison)
  const putBack = () => redrive(db, 'label-router', outbox, { producer: 'cluster-test', by: 'a test' })
  expect(await putBack()).not.toEqual([])
  expect(await putBack()).toEqual([])
  const clock = await startClock()
  await expect.poll(runs, { timeout: 60_000 }).toEqual([poison, ...behind])
  await clock.stop()
  expect(await stateOf(poison)).toMatchObject({ state: 'done' })
  expect(await putBack()).toEqual([])
})

/** How often the forge was asked for it. */
const tries = async (path: string) =>
  (await place.ledger('fault')).filter((fault) => String(fault['path']).startsWith(path)).length

/** Issues that have a run, one entry for each run. */
async function runs(): Promise<number[]> {
  const rows = await place.db
    .selectFrom('runs')
    .select('subject_number')
    .where('project_id', '=', place.repository.projectId)
    .orderBy('subject_number')
    .execute()
  return rows.map(({ subject_number: number }) => Number(number))
}

/** The router's delivery of the label event of an issue. */
async function stateOf(issue: number) {
  const rows = await place.db
    .selectFrom('deliveries')
    .innerJoin('outbox', 'outbox.id', 'deliveries.outbox_id')
    .innerJoin('inbox', 'inbox.id', 'outbox.inbox_id')
    .select(['outbox.id as outbox', 'deliveries.state', 'deliveries.error', 'inbox.body'])
    .where('consumer', '=', 'label-router')
    .where('inbox.project_id', '=', place.repository.projectId)
    .execute()
  const about = ({ body }: { body: Buffer }) =>
    (JSON.parse(body.toString()) as { issue: { number: number } }).issue.number === issue
  const found = rows.find(about)
  if (found === undefined) throw new Error(`no delivery about issue ${issue}`)
  return { outbox: found.outbox, state: found.state, error: found.error }
}
