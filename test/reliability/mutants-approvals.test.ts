import { sql } from 'kysely'
import { expect, test } from 'vitest'
import type * as Dispatcher from '../../functions/stage-dispatcher/capacity.ts'
import { waitingRun } from '../../functions/approval-gate/testing/concurrent.ts'
import type * as Gate from '../../functions/approval-gate/testing/concurrent.ts'
import type { Db } from '#shared/db/connect.ts'
import { transaction } from '#shared/db/transaction.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import type { ApprovalPolicy } from '#shared/job/bundle.ts'
import type * as Transition from '#shared/run/transition.ts'
import { addRun, runNow } from '#shared/run/testing/rows.ts'
import { playWith, playWithout, type Guard, type Stage } from '../support/mutation.ts'

const gate = 'functions/approval-gate/testing/concurrent.ts'
const decide = 'functions/approval-gate/decide.ts'
const record = 'functions/approval-gate/record.ts'
const handler = 'functions/approval-gate/handler.ts'
const transition = 'shared/run/transition.ts'
const capacity = 'functions/stage-dispatcher/capacity.ts'
const consume = 'functions/stage-dispatcher/approval.ts'

// Walls that stand behind another one are tried with that one taken away.
const guards: readonly Guard[] = [
  {
    guard: 'P-1: who asked does not approve',
    scenario: (stage) => decides(stage, { login: 'w1001' }, 403),
    file: decide,
    edits: [
      ["if (policy.excludeRequester && actor.id === question.requesterId) return refused('self_approval')", ''],
      ["if (policy.excludeAuthor !== false && actor.id === question.authorId) return refused('self_approval')", ''],
    ],
    fails: /answer to w1001/,
  },
  {
    guard: 'P-2: our own account does not approve',
    scenario: (stage) => decides(stage, { login: 'w1' }, 403),
    file: decide,
    edits: [
      ["if (actor.type !== 'User' || actor.viaApp || actor.id === question.ownActorId) return refused('bot')", ''],
    ],
    fails: /answer to w1/,
  },
  {
    guard: 'P-8: who may not does not approve',
    scenario: (stage) => decides(stage, { login: 'r2004' }, 403),
    file: decide,
    edits: [["if (!isEligible(actor, policy)) return refused('not_eligible')", '']],
    fails: /answer to r2004/,
  },
  {
    guard: 'P-8: who may not any more does not count',
    scenario: demoted,
    file: decide,
    edits: [['earlier.filter((one) => isEligible(one, policy)).length + 1', 'earlier.length + 1']],
    fails: /state with one who may/,
  },
  {
    guard: 'P-8: one person has one voice',
    scenario: twoVoices,
    file: decide,
    before: [["if (earlier.some(({ id }) => id === actor.id)) return refused('already_counted')", '']],
    drop: [['decisions', '(approval_id, actor_id, decision)']],
    fails: /state after one person/,
  },
  {
    guard: 'P-3: a text that was changed is not approved',
    scenario: otherText,
    file: decide,
    edits: [["if (question.outdated !== undefined) return { kind: 'outdated', reason: question.outdated }", '']],
    fails: /state of a changed text/,
  },
  {
    guard: 'P-4: one decision finds the approval pending',
    scenario: twoDenials,
    file: record,
    before: [[".where('version', '=', seen.version)", '']],
    edits: [[".where('state', '=', 'pending')", '']],
    fails: /decisions that won/,
  },
  {
    guard: 'P-4: a decision goes by the version that was seen',
    scenario: twoOfThree,
    file: record,
    edits: [[".where('version', '=', seen.version)", '']],
    fails: /approvals in the answers/,
  },
  {
    guard: 'P-6: the time is over when it is over',
    scenario: tooLate,
    file: record,
    edits: [[".where('expires_at', '>', sql<Date>`now()`)", '']],
    fails: /state of what ran out/,
  },
  {
    guard: 'P-3: an approval is of what the run holds',
    scenario: otherBundle,
    file: record,
    edits: [
      [
        ".where('bundle_digest', '=', sql<string>`(select bundle_digest from runs where runs.id = approvals.run_id)`)",
        '',
      ],
    ],
    fails: /state of another bundle/,
  },
  {
    guard: 'P-3: a label approves only what the comment showed before',
    scenario: unseen,
    file: decide,
    edits: [["if (!question.shown) return refused('not_shown')", '']],
    fails: /state of what nobody was shown/,
  },
  {
    guard: 'P-11: a comment counts as the forge shows it now',
    scenario: takenBack,
    file: handler,
    edits: [['now.body !== comment.body || now.edited ||', '']],
    fails: /state after a comment that was edited/,
  },
  {
    guard: 'an approval ends with its run',
    scenario: withdrawn,
    file: transition,
    edits: [
      [
        ".where('state', '=', 'pending') .returningAll() .execute()",
        ".where('state', '=', 'denied').returningAll().execute()",
      ],
    ],
    fails: /state of what nobody waits for/,
  },
  {
    guard: 'I4: a run with a gate starts under an approval only',
    scenario: (stage) => starts(stage, undefined),
    file: capacity,
    edits: [['if (!opens(manifest.gate) && !(await consumeApproval(writer, run))) return', '']],
    fails: /attempts without an approval/,
  },
  {
    guard: 'P-3: it starts under an approval of its own bundle',
    scenario: (stage) => starts(stage, 'other'),
    file: consume,
    edits: [
      [
        ".where('bundle_digest', '=', run.bundle_digest) .where('state', '=', 'approved')",
        ".where('state', '=', 'approved')",
      ],
    ],
    fails: /attempts without an approval/,
  },
  {
    guard: 'P-5: an approval opens once',
    scenario: (stage) => starts(stage, 'used'),
    file: consume,
    edits: [[".where('consumed_at', 'is', null)", '']],
    fails: /attempts without an approval/,
  },
  {
    guard: 'P-6: an approval that ran out opens nothing',
    scenario: (stage) => starts(stage, 'late'),
    file: consume,
    edits: [['if (await expireApproval(writer, run.id)) return false', '']],
    fails: /attempts without an approval/,
  },
]

test.for(guards)('$guard: holds, and its loss is noticed', async (guard) => {
  await playWith(guard)
  await expect(playWithout(guard)).rejects.toThrow(guard.fails)
})

const stateOf = async (db: Db) => (await db.selectFrom('approvals').select('state').executeTakeFirstOrThrow()).state

async function world({ db, load }: Stage, policy: Partial<ApprovalPolicy> = {}) {
  const { replica, waitingRun } = await load<typeof Gate>(gate)
  return { replica, ...(await waitingRun(db, policy)) }
}

async function decides(stage: Stage, { login }: { login: string }, status: number): Promise<void> {
  const { replica, run } = await world(stage)
  const answer = await replica(stage.db).decide(run, login, 'approve')
  expect(answer.status, `answer to ${login}`).toBe(status)
}

async function demoted(stage: Stage): Promise<void> {
  const { replica, run } = await world(stage, { quorum: 2 })
  await replica(stage.db).decide(run, 'w2001', 'approve')
  await stage.db.updateTable('decisions').set({ actor_login: 'r2001' }).execute()
  await replica(stage.db).decide(run, 'w2002', 'approve')
  expect(await stateOf(stage.db), 'state with one who may').toBe('pending')
}

async function twoVoices(stage: Stage): Promise<void> {
  const { replica, run } = await world(stage, { quorum: 2 })
  const same = replica(stage.db)
  await same.decide(run, 'w2001', 'approve')
  await same.decide(run, 'w2001', 'approve').catch(() => {})
  expect(await stateOf(stage.db), 'state after one person').toBe('pending')
}

async function otherText(stage: Stage): Promise<void> {
  const { replica, run } = await world(stage)
  const other = Buffer.from(JSON.stringify({ title: 'Say hello', body: 'Something else.', comments: [] }))
  await stage.db
    .updateTable('blobs')
    .set({ bytes: other })
    .where(sql<boolean>`convert_from(bytes, 'UTF8') like '%Please.%'`)
    .execute()
  await replica(stage.db).decide(run, 'w2001', 'approve')
  expect(await stateOf(stage.db), 'state of a changed text').toBe('stale')
}

/** Goes on when so many have come. */
function together(count: number): () => Promise<void> {
  const all = Promise.withResolvers<void>()
  let come = 0
  return () => {
    if ((come += 1) === count) all.resolve()
    return all.promise
  }
}

async function twoDenials(stage: Stage): Promise<void> {
  const { replica, run } = await world(stage)
  const both = replica(stage.db, together(2))
  const answers = await Promise.all(['w2001', 'w2002'].map((login) => both.decide(run, login, 'deny')))
  expect(answers.filter(({ status }) => status === 200).length, 'decisions that won').toBe(1)
}

async function twoOfThree(stage: Stage): Promise<void> {
  const { replica, run } = await world(stage, { quorum: 3 })
  const both = replica(stage.db, together(2))
  const answers = await Promise.all(['w2001', 'w2002'].map((login) => both.decide(run, login, 'approve')))
  const approvals = answers.map((answer) => (answer as { approvals?: number }).approvals)
  expect(new Set(approvals), 'approvals in the answers').toEqual(new Set([1, 2]))
}

async function tooLate(stage: Stage): Promise<void> {
  const { replica, run } = await world(stage)
  const pass = () =>
    stage.db
      .updateTable('approvals')
      .set({ expires_at: sql`now() - interval '1 second'` })
      .execute()
  await replica(stage.db, pass).decide(run, 'w2001', 'approve')
  expect(await stateOf(stage.db), 'state of what ran out').toBe('expired')
}

async function otherBundle(stage: Stage): Promise<void> {
  const { replica, run, project } = await world(stage)
  const other = await addRun(stage.db, project)
  const change = () => stage.db.updateTable('runs').set({ bundle_digest: other.bundle_digest }).execute()
  await replica(stage.db, change)
    .decide(run, 'w2001', 'approve')
    .catch(() => {})
  expect(await stateOf(stage.db), 'state of another bundle').toBe('pending')
}

async function unseen(stage: Stage): Promise<void> {
  const { replica, run, project } = await world(stage)
  const same = replica(stage.db)
  await same.label(project, run, 'w2001')
  await stage.db
    .insertInto('comments')
    .values({ run_id: run.id, approval_digest: run.bundle_digest, approval_shown_at: '2026-01-02T03:04:05Z' })
    .execute()
  await same.label(project, run, 'w2002')
  expect(await stateOf(stage.db), 'state of what nobody was shown').toBe('pending')
  await stage.db.updateTable('comments').set({ approval_shown_at: '2026-01-02T03:04:04Z' }).execute()
  await same.label(project, run, 'w2003')
  expect(await stateOf(stage.db), 'state of what was shown').toBe('approved')
}

async function takenBack(stage: Stage): Promise<void> {
  const { replica, run, project } = await world(stage)
  await replica(stage.db).comment(project, run, 'w2001', 'approve', 'Looks good.')
  expect(await stateOf(stage.db), 'state after a comment that was edited').toBe('pending')
}

async function withdrawn({ db, load }: Stage): Promise<void> {
  const { endRun } = await load<typeof Transition>(transition)
  const { run } = await waitingRun(db)
  const end = { state: 'cancelled', type: EVENT_TYPES.runCancelled, reason: 'label_removed' } as const
  await transaction(db, (tx) => endRun({ tx, emit: async () => {} }, run.id, end))
  expect(await stateOf(db), 'state of what nobody waits for').toBe('withdrawn')
}

async function starts(stage: Stage, how: 'other' | 'used' | 'late' | undefined): Promise<void> {
  const { db, load } = stage
  const { commitIntent } = await load<typeof Dispatcher>(capacity)
  const { run, project } = await waitingRun(db)
  await db.updateTable('runs').set({ state: 'queued' }).execute()
  const other = await addRun(db, project, { state: 'failed', columns: { reason: 'stopped' } })
  const approved = { state: 'approved', decided_at: new Date() } as const
  if (how === 'other')
    await db
      .updateTable('approvals')
      .set({ ...approved, bundle_digest: other.bundle_digest ?? '' })
      .execute()
  if (how === 'used')
    await db
      .updateTable('approvals')
      .set({ ...approved, consumed_at: new Date() })
      .execute()
  if (how === 'late')
    await db
      .updateTable('approvals')
      .set({ ...approved, expires_at: sql`now() - interval '61 seconds'` })
      .execute()
  await transaction(db, (tx) => commitIntent({ tx, emit: async () => {} }, run.id, []))
  const attempts = await db.selectFrom('attempts').selectAll().execute()
  expect(attempts.length, 'attempts without an approval').toBe(0)
  expect((await runNow(db, run.id)).state).toBe('cancelled')
}
