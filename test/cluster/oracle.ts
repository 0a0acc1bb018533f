import { sql } from 'kysely'
import pg from 'pg'
import { inject } from 'vitest'
import { readLedger } from '../../functions/audit-sink/read-ledger.ts'
import { verify } from '#shared/ledger/verify.ts'
import { list } from './kubectl.ts'
import type { Place } from './place.ts'
import { RUNS_NAMESPACE } from './platform.ts'

/** How often something happened, by the number of the issue that it was done for. */
export type PerIssue = Readonly<Record<number, number>>

/** What really happened, by the forge's own ledger and the API server's Jobs, not by our tables. */
export async function effects(place: Place): Promise<{ pulls: PerIssue; comments: PerIssue; jobs: PerIssue }> {
  return { pulls: await pulls(place), comments: await comments(place), jobs: await jobs(place) }
}

/** What `unaccounted` gives when everything that was accepted is done, and the ledger is one chain that has all of it. */
export const NOTHING = { lost: 0, pending: 0, quarantined: 0, unsent: 0, notInLedger: 0, ledgerHolds: true } as const

/** What was accepted and is not done. */
export async function unaccounted({ db }: Place): Promise<Record<keyof typeof NOTHING, number | boolean>> {
  const { lost, deliveries_pending, deliveries_quarantined, unsent } = await db
    .selectFrom('accounting')
    .selectAll()
    .executeTakeFirstOrThrow()
  const { rows } =
    await sql`select from outbox left join ledger on ledger.outbox_id = outbox.id where ledger.outbox_id is null`.execute(
      db,
    )
  return {
    lost,
    pending: deliveries_pending,
    quarantined: deliveries_quarantined,
    unsent,
    notInLedger: rows.length,
    ledgerHolds: await ledgerHolds(),
  }
}

async function ledgerHolds(): Promise<boolean> {
  const client = new pg.Client({ connectionString: inject('installed').ownerUrl })
  await client.connect()
  try {
    return (await verify(readLedger(client))).ok
  } finally {
    await client.end()
  }
}

/** Issues whose run has not ended well yet, each with how far it is. */
export async function unfinished(place: Place, issues: readonly number[]): Promise<string[]> {
  await passTime(place)
  const rows = await runsOf(place)
  return issues.flatMap((issue) => {
    const states = rows.filter(({ number }) => number === issue).map(({ state, reason }) => `${state} ${reason ?? ''}`)
    return states.length === 1 && states[0] === 'succeeded ' ? [] : [`#${issue}: ${states.join(', ') || 'no run'}`]
  })
}

/** As if minutes had passed: the forge is asked for deliveries that failed, and its limits have room. */
async function passTime({ db, repository, restPace }: Place): Promise<void> {
  await restPace()
  await db
    .updateTable('hook_checks')
    .set({ next_check_at: sql`now() - interval '1 second'` })
    .where('hook_id', '=', repository.hookId)
    .execute()
}

async function pulls(place: Place): Promise<PerIssue> {
  return countBy((await place.ledger('pull.created')).map(({ head = '' }) => Number(/^agent\/(\d+)-/.exec(head)?.[1])))
}

async function comments(place: Place): Promise<PerIssue> {
  const removed = new Set((await place.ledger('comment.deleted')).map(({ id }) => id))
  const there = (await place.ledger('comment.created')).filter(({ id }) => !removed.has(id))
  return countBy(there.map(({ number }) => Number(number)))
}

/** Pods that the cluster made for Jobs, by its own events: Jobs themselves go when they are over. */
async function jobs(place: Place): Promise<PerIssue> {
  const selector = 'reason=SuccessfulCreate,involvedObject.kind=Job'
  const made = await list('events', RUNS_NAMESPACE, '--field-selector', selector)
  const rows = await place.db
    .selectFrom('intents')
    .innerJoin('runs', 'runs.id', 'intents.run_id')
    .select(['intents.name', 'subject_number as number'])
    .where('intents.kind', '=', 'job')
    .where('runs.project_id', '=', place.repository.projectId)
    .execute()
  const of = new Map(rows.map(({ name, number }) => [name, number]))
  return countBy(made.flatMap(({ involvedObject }) => of.get(involvedObject?.name ?? '') ?? []))
}

async function runsOf({ db, repository }: Place) {
  const rows = await db
    .selectFrom('runs')
    .select(['id', 'subject_number as number', 'state', 'reason'])
    .where('project_id', '=', repository.projectId)
    .execute()
  return rows
}

function countBy(numbers: readonly number[]): PerIssue {
  return numbers.reduce<Record<number, number>>((counts, each) => ({ ...counts, [each]: (counts[each] ?? 0) + 1 }), {})
}
