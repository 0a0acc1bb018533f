import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { startRun } from '../../functions/model-gateway/testing/run.ts'
import type { Db } from '#shared/db/connect.ts'
import { transaction, type Tx } from '#shared/db/transaction.ts'
import { emit, type Emission } from '#shared/outbox/write.ts'
import type * as OutboxDeliver from '#shared/outbox/deliver.ts'
import type * as OutboxRelay from '#shared/outbox/relay.ts'
import type * as RunTransition from '#shared/run/transition.ts'
import type * as ApprovalGateStore from '../../functions/approval-gate/store.ts'
import type * as ChangePublisherStore from '../../functions/change-publisher/store.ts'
import type * as StatusReporterStore from '../../functions/status-reporter/store.ts'
import { lockWaits, playWith, playWithout, type Guard, type Stage } from '../support/mutation.ts'
import { eventually } from '../support/wait.ts'

const relay = 'shared/outbox/relay.ts'
const deliver = 'shared/outbox/deliver.ts'
const transition = 'shared/run/transition.ts'
const gate = 'functions/approval-gate/store.ts'
const publisher = 'functions/change-publisher/store.ts'
const reporter = 'functions/status-reporter/store.ts'

const guards: readonly Guard[] = [
  {
    guard: 'C5: the relay marks after it has posted',
    scenario: relayToNobody,
    file: relay,
    edits: [
      ['const accepted = await publish(row, until).catch(() => false)', 'const accepted = true'],
      ['return accepted\n', 'return publish(row, until).catch(() => false)\n'],
    ],
    fails: /marked as sent/,
  },
  {
    guard: 'the relay claims with a lease',
    scenario: relayTwice,
    file: relay,
    edits: [
      ['and (seen.lease_until is null or seen.lease_until < now())', ''],
      ['and (lease_until is null or lease_until < now())', ''],
    ],
    fails: /posts of one row/,
  },
  {
    guard: 'the relay marks only while the lease is its own',
    scenario: relayLate,
    file: relay,
    edits: [['and outbox.lease = posted.lease', '']],
    fails: /lease of the second relay/,
  },
  {
    guard: 'C4: a delivery is settled under the lock of its row',
    scenario: deliverTwice,
    file: deliver,
    edits: [['.forUpdate()', '']],
    fails: /times that the handler wrote/,
  },
  {
    guard: 'C4: a delivery that is settled stays so',
    scenario: deliverTwice,
    file: deliver,
    edits: [["if (own.state !== 'pending')", "if (own.state === 'quarantined')"]],
    fails: /times that the handler wrote/,
  },
  {
    guard: 'a run that is over stays over',
    scenario: endAgain,
    file: transition,
    edits: [['if (!isActive(now.state)) return', '']],
    fails: /state of a cancelled run/,
  },
  {
    guard: 'an approval goes by the version that was seen',
    scenario: approveLate,
    file: gate,
    edits: [["if (now.version !== seen.version) throw new RetryLater('the run moved on', { seconds: 0 })", '']],
    fails: /state of a cancelled run/,
  },
  {
    guard: 'a change is published by the version that was seen',
    scenario: publishLate,
    file: publisher,
    edits: [['if (now.version !== run.version) return undefined', '']],
    fails: /leave to publish/,
  },
  {
    guard: 'one writes a comment at a time',
    scenario: leaseTwice,
    file: reporter,
    edits: [
      [
        'lease = case when c.lease_until is null or c.lease_until <= now() then excluded.lease else c.lease end',
        'lease = excluded.lease',
      ],
    ],
    fails: /second lease/,
  },
]

test.for(guards)('$guard: holds, and its loss is noticed', async (guard) => {
  await playWith(guard)
  await expect(playWithout(guard)).rejects.toThrow(guard.fails)
})

const event: Emission = { type: 'dev.codex-k8s.run.progressed.v1', subject: 's', extensions: {}, data: {}, rows: {} }
const write = (db: Db) => transaction(db, (tx) => emit(tx, 'run-gateway', event))
const rowOf = (db: Db, id: string) => db.selectFrom('outbox').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
const accepted = () => new Response(null, { status: 202 })

async function relayToNobody({ db, load }: Stage): Promise<void> {
  const { createRelay } = await load<typeof OutboxRelay>(relay)
  const id = await write(db)
  const post = () => Promise.reject(new Error('nobody listens'))
  await createRelay({ db, brokerUrl: 'http://broker/', deadlineMs: 1_000, post }).after([id])
  expect((await rowOf(db, id)).sent_at, 'marked as sent').toBeNull()
}

async function relayTwice({ db, load }: Stage): Promise<void> {
  const { createRelay } = await load<typeof OutboxRelay>(relay)
  const id = await write(db)
  const { answer, count, post } = heldPosts()
  const one = createRelay({ db, brokerUrl: 'http://broker/', deadlineMs: 5_000, post })
  const first = one.after([id])
  await eventually(() => count() === 1, { what: 'the first post' })
  let through = false
  const second = one.after([id]).then(() => (through = true))
  // Without a lease it posts as well and waits with the first; with one it finds nothing and is through.
  await eventually(() => through || count() > 1, { what: 'the second relay' })
  answer.resolve(accepted())
  await Promise.all([first, second])
  expect(count(), 'posts of one row').toBe(1)
}

async function relayLate({ db, load }: Stage): Promise<void> {
  const { createRelay } = await load<typeof OutboxRelay>(relay)
  const id = await write(db)
  const [failing, slow] = [heldPosts(), heldPosts()]
  const relayWith = (post: () => Promise<Response>) =>
    createRelay({ db, brokerUrl: 'http://broker/', deadlineMs: 5_000, post }).after([id])
  const first = relayWith(failing.post)
  await eventually(() => failing.count() > 0, { what: 'the first post' })
  await db
    .updateTable('outbox')
    .set({ lease_until: sql`now() - interval '1 second'` })
    .execute()
  const second = relayWith(slow.post)
  await eventually(() => slow.count() > 0, { what: 'the second post' })
  failing.answer.reject(new Error('reset'))
  await first
  const { lease } = await rowOf(db, id)
  slow.answer.resolve(accepted())
  await second
  expect(lease, 'lease of the second relay').not.toBeNull()
}

/** A broker that answers all posts together, when it is told to. */
function heldPosts() {
  const answer = Promise.withResolvers<Response>()
  let posts = 0
  return { answer, count: () => posts, post: () => ((posts += 1), answer.promise) }
}

async function deliverTwice({ db, load }: Stage): Promise<void> {
  const { deliver: settle } = await load<typeof OutboxDeliver>(deliver)
  const id = await write(db)
  let looked = 0
  let wrote = 0
  const both = Promise.withResolvers<void>()
  const handle = async () => {
    if ((looked += 1) === 2) both.resolve()
    await both.promise
    return {
      outcome: 'written',
      async write() {
        wrote += 1
        await eventually(async () => wrote === 2 || (await lockWaits(db)) > 0, { what: 'the other one' })
      },
    }
  }
  await Promise.all([settle(db, 'status-reporter', id, handle), settle(db, 'status-reporter', id, handle)])
  expect(wrote, 'times that the handler wrote').toBe(1)
}

const read = (db: Db, id: string) => db.selectFrom('runs').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
const writerOf = (tx: Tx) => ({
  tx,
  emit: async (emission: Emission) => void (await emit(tx, 'run-gateway', emission)),
})

async function cancel(db: Db, id: string): Promise<void> {
  await db
    .updateTable('runs')
    .set({ state: 'cancelled', reason: 'label_removed', version: sql`version + 1` })
    .where('id', '=', id)
    .execute()
}

async function endAgain({ db, load }: Stage): Promise<void> {
  const { endRun } = await load<typeof RunTransition>(transition)
  const { id } = await startRun(db)
  await cancel(db, id)
  await transaction(db, (tx) =>
    endRun(writerOf(tx), id, { state: 'succeeded', type: 'dev.codex-k8s.change.published.v1' }),
  )
  expect((await read(db, id)).state, 'state of a cancelled run').toBe('cancelled')
}

async function approveLate({ db, load }: Stage): Promise<void> {
  const { store } = await load<typeof ApprovalGateStore>(gate)
  const { id } = await startRun(db, { state: 'waiting_approval' })
  const waiting = await store(db).waiting(id)
  await cancel(db, id)
  await transaction(db, async (tx) => waiting && store(db).approve(writerOf(tx), waiting)).catch(() => {})
  expect((await read(db, id)).state, 'state of a cancelled run').toBe('cancelled')
}

async function publishLate({ db, load }: Stage): Promise<void> {
  const { store } = await load<typeof ChangePublisherStore>(publisher)
  const { id } = await startRun(db, { state: 'publishing' })
  const run = await read(db, id)
  const change = await db.selectFrom('changes').selectAll().executeTakeFirstOrThrow()
  await cancel(db, id)
  const seen = { run, change } as Parameters<ReturnType<typeof store>['intend']>[0]
  expect(await store(db).intend(seen), 'leave to publish').toBeUndefined()
}

async function leaseTwice({ db, load }: Stage): Promise<void> {
  const { store } = await load<typeof StatusReporterStore>(reporter)
  const { id } = await startRun(db)
  expect(await store(db).lease(id, true)).toBeDefined()
  expect(await store(db).lease(id, true), 'second lease').toBeUndefined()
}
