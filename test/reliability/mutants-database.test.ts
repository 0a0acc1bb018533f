import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { auditSink } from '../../functions/audit-sink/handler.ts'
import { store } from '../../functions/audit-sink/store.ts'
import { addHook, addProject, deliver, labeled, startGateway } from '../../functions/webhook-gateway/testing/gateway.ts'
import { manifest, startRun } from '../../functions/model-gateway/testing/run.ts'
import type { Intent, Look } from '../../functions/label-router/handler.ts'
import type { Bundle } from '../../functions/label-router/manifest.ts'
import type { Db } from '#shared/db/connect.ts'
import { transaction } from '#shared/db/transaction.ts'
import type { Writer } from '#shared/outbox/deliver.ts'
import { emit, type Emission } from '#shared/outbox/write.ts'
import type * as ChangePublisherStore from '../../functions/change-publisher/store.ts'
import type * as LabelRouterStore from '../../functions/label-router/store.ts'
import type * as ModelGatewayStore from '../../functions/model-gateway/store.ts'
import type * as StageDispatcherStore from '../../functions/stage-dispatcher/store.ts'
import { playWith, playWithout, type Guard, type Stage } from '../support/mutation.ts'

const router = 'functions/label-router/store.ts'
const dispatcher = 'functions/stage-dispatcher/store.ts'

// Where the code looks before the database does, the look is taken away first: the wall has to hold alone.
const guards: readonly Guard[] = [
  {
    guard: 'one inbox row per hook and delivery id (W5)',
    scenario: sameDeliveryTwice,
    drop: [['inbox', '(hook_id, delivery_id)']],
    fails: /answers to the same delivery/,
  },
  {
    guard: 'one event per source and id',
    scenario: sameDeliveryAtTwoHooks,
    drop: [['outbox', '(source, event_id)']],
    fails: /events of one delivery/,
  },
  {
    guard: 'one run per label event (W6)',
    scenario: (stage) => twoIntents(stage, ['900', '900']),
    file: 'functions/label-router/intent-keys.ts',
    before: [['return run !== undefined', 'return false']],
    drop: [['runs', '(provider, instance, repository_id, subject_id, label_event_id)']],
    fails: /runs of what was asked/,
  },
  {
    guard: 'one active run per subject and stage',
    scenario: (stage) => twoIntents(stage, ['900', '901']),
    file: router,
    before: [["await cancel(writer, intent, { stage: intent.stage }, 'superseded', subject)", '']],
    drop: [['runs', '(project_id, subject_id, stage)']],
    fails: /runs of what was asked/,
  },
  {
    guard: 'a run is made only of what the forge showed last (W10)',
    scenario: takenAwayMeanwhile,
    file: 'functions/label-router/subject-lock.ts',
    edits: [[".where('version', '=', version)", '']],
    fails: /runs of a label that is gone/,
  },
  {
    guard: 'one open attempt per run (C11)',
    scenario: intendTwice,
    file: 'functions/stage-dispatcher/capacity.ts',
    before: [
      ["if (run.state !== 'queued' ||", 'if ('],
      [
        ".where('project_id', '=', projectId) .where('state', '=', 'queued') .orderBy",
        ".where('project_id', '=', projectId).orderBy",
      ],
    ],
    drop: [['attempts', '(run_id)']],
    fails: /open attempts/,
  },
  {
    guard: 'one intent per effect',
    scenario: publishTwice,
    drop: [['intents', '(kind, name)']],
    fails: /no unique or exclusion constraint/,
  },
  {
    guard: 'one open stream per run',
    scenario: reserveTwice,
    drop: [['model_calls', '(run_id)']],
    fails: /open reservations/,
  },
  {
    guard: 'one place in the chain per entry (C15)',
    scenario: appendTogether,
    drop: [
      ['ledger', '(seq)'],
      ['ledger', '(outbox_id)'],
      ['ledger', '(hash)'],
    ],
    fails: /places in the chain|entries of one event|links of the chain/,
  },
]

test.for(guards)('$guard: holds, and its loss is noticed', async (guard) => {
  await playWith(guard)
  await expect(playWithout(guard)).rejects.toThrow(guard.fails)
})

async function sameDeliveryTwice({ db, databaseUrl }: Stage): Promise<void> {
  const gateway = await startGateway(databaseUrl)
  const hook = await addHook(db, await addProject(db, 42))
  const sent = { body: labeled(42), delivery: randomUUID() }
  const statuses = [(await deliver(gateway, hook, sent)).status, (await deliver(gateway, hook, sent)).status]
  await gateway.stop()
  expect(statuses, 'answers to the same delivery').toEqual([202, 202])
  expect(await db.selectFrom('inbox').select('id').execute(), 'rows of one delivery').toHaveLength(1)
}

async function sameDeliveryAtTwoHooks({ db, databaseUrl }: Stage): Promise<void> {
  const gateway = await startGateway(databaseUrl)
  const project = await addProject(db, 42)
  const sent = { body: labeled(42), delivery: randomUUID() }
  for (const hook of [await addHook(db, project), await addHook(db, project)])
    expect((await deliver(gateway, hook, sent)).status).toBe(202)
  await gateway.stop()
  const events = await db.selectFrom('outbox').select('id').where('inbox_id', 'is not', null).execute()
  expect(events, 'events of one delivery').toHaveLength(1)
}

/** Two requests for the same stage of an issue, by the ids of their label events: the second is refused by the database. */
async function twoIntents(stage: Stage, labelEvents: readonly string[]): Promise<void> {
  const { store } = await stage.load<typeof LabelRouterStore>(router)
  const routed = store(stage.db)
  const look = await freshIssue(stage.db)
  for (const id of labelEvents) {
    const version = await routed.subjectVersion(look.project.id, look.subject.id)
    // What a delivery that fails like this is: put off, and at last set aside where it is seen.
    await write(stage.db, (writer) => routed.createRun(writer, asked({ ...look, version }, id), bundle)).catch(
      duplicateKey,
    )
  }
  const runs = await stage.db.selectFrom('runs').select('state').where('subject_id', '=', '71').execute()
  expect(runs, 'runs of what was asked').toEqual([{ state: 'queued' }])
}

/** The label goes, and that is handled whole, between the look at the forge that found it and the run that follows. */
async function takenAwayMeanwhile({ db, load }: Stage): Promise<void> {
  const { store } = await load<typeof LabelRouterStore>(router)
  const look = await freshIssue(db)
  await write(db, (writer) => store(db).cancelRuns(writer, look, { stage: 'dev' }, 'label_removed'))
  await write(db, (writer) => store(db).createRun(writer, asked(look, '900'), bundle)).catch((error: Error) =>
    expect(error).toMatchObject({ name: 'RetryLater', seconds: 0 }),
  )
  const runs = await db.selectFrom('runs').select('state').where('subject_id', '=', '71').execute()
  expect(runs, 'runs of a label that is gone').toEqual([])
}

const bundle: Bundle = { digest: 'b'.repeat(64), manifest, blobs: new Map([['c'.repeat(64), Buffer.from('c')]]) }

/** An issue that nothing was heard of yet. */
async function freshIssue(db: Db): Promise<Look> {
  await startRun(db, { state: 'succeeded' })
  const project = await db.selectFrom('projects').selectAll().executeTakeFirstOrThrow()
  return { project, subject: { id: '71', number: 8, kind: 'issue' }, version: 0 }
}

function asked(look: Look, labelEvent: string): Intent {
  const requester = { id: '5', login: 'ann' }
  return { ...look, labelEvent: { id: labelEvent, createdAt: new Date() }, label: 'run:dev', stage: 'dev', requester }
}

function write(db: Db, work: (writer: Writer) => Promise<void>): Promise<void> {
  return transaction(db, (tx) =>
    work({ tx, emit: async (emission) => void (await emit(tx, 'label-router', emission)) }),
  )
}

async function intendTwice({ db, load }: Stage): Promise<void> {
  const { store } = await load<typeof StageDispatcherStore>(dispatcher)
  const { id } = await startRun(db, { state: 'queued' })
  await db.updateTable('attempts').set({ state: 'lost', finished_at: new Date() }).execute()
  const { project_id } = await db.selectFrom('runs').select('project_id').where('id', '=', id).executeTakeFirstOrThrow()
  const dispatch = store(db, { tokenKey: 'k'.repeat(32), namespaces: [] })
  for (let time = 0; time < 2; time += 1) await dispatch.intend(project_id).catch(duplicateKey)
  const open = await db.selectFrom('attempts').select('attempt').where('state', '=', 'intended').execute()
  expect(open, 'open attempts').toEqual([{ attempt: 2 }])
}

async function publishTwice({ db, load }: Stage): Promise<void> {
  const { store } = await load<typeof ChangePublisherStore>('functions/change-publisher/store.ts')
  const { id } = await startRun(db, { state: 'publishing' })
  const run = await db.selectFrom('runs').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
  const change = await db.selectFrom('changes').selectAll().executeTakeFirstOrThrow()
  const finished = { run, change } as Parameters<ReturnType<(typeof ChangePublisherStore)['store']>['intend']>[0]
  for (let time = 0; time < 2; time += 1) expect(await store(db).intend(finished)).toBeDefined()
  expect(await db.selectFrom('intents').select('id').execute(), 'intents of one change').toHaveLength(1)
}

async function reserveTwice({ db, load }: Stage): Promise<void> {
  const { store } = await load<typeof ModelGatewayStore>('functions/model-gateway/store.ts')
  const { ref } = await startRun(db)
  for (let time = 0; time < 2; time += 1)
    await store(db, 15)
      .reserve(ref, 100, () => undefined)
      .catch(duplicateKey)
  expect(await db.selectFrom('model_calls').select('state').execute(), 'open reservations').toEqual([
    { state: 'reserved' },
  ])
}

/** Four appenders without the lock: some fail and come again, none makes the chain fork. */
async function appendTogether({ db }: Stage): Promise<void> {
  await withoutLedgerLock(db)
  const append = () => auditSink(store(db))(AbortSignal.timeout(10_000))
  const event: Emission = { type: 'dev.codex-k8s.run.progressed.v1', subject: 's', extensions: {}, data: {}, rows: {} }
  for (let round = 0; round < 10; round += 1) {
    for (let n = 0; n < 4; n += 1) await transaction(db, (tx) => emit(tx, 'run-gateway', event))
    await Promise.all([1, 2, 3, 4].map(() => append().catch(refusedTwice)))
    await append()
  }
  await expectOneChain(db)
}

/** The second was told: by the function, which saw the first one's commit, or by the wall. */
function refusedTwice(error: Error & { code?: string }): void {
  if (!error.message.includes('does not continue the ledger')) duplicateKey(error)
}

async function withoutLedgerLock(db: Db): Promise<void> {
  const { rows } = await sql<{ text: string }>`
    select pg_get_functiondef('ledger_append(bigint, uuid[], text[], text[])'::regprocedure) as text`.execute(db)
  const without = rows[0]?.text.replace('perform pg_advisory_xact_lock(7236420);', '') ?? ''
  expect(without).not.toBe(rows[0]?.text)
  await sql.raw(without).execute(db)
}

async function expectOneChain(db: Db): Promise<void> {
  const rows = await db.selectFrom('ledger').select(['seq', 'previous', 'hash', 'outbox_id']).orderBy('seq').execute()
  expect(new Set(rows.map(({ outbox_id }) => outbox_id)).size, 'entries of one event').toBe(rows.length)
  expect(
    rows.map(({ seq }) => seq),
    'places in the chain',
  ).toEqual(rows.map((_, index) => index + 1))
  expect(
    rows.slice(1).map(({ previous }) => previous),
    'links of the chain',
  ).toEqual(rows.slice(0, -1).map(({ hash }) => hash))
}

/** The wall held. */
function duplicateKey(error: Error & { code?: string }): void {
  if (error.code !== '23505') throw error
}
