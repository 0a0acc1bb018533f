import fc from 'fast-check'
import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { connect, type Db } from '#shared/db/connect.ts'
import type { Row } from '#shared/db/schema.ts'
import { runNow, saidOf } from '#shared/run/testing/rows.ts'
import { replica, waitingRun } from './testing/concurrent.ts'
import { test } from './testing/test.ts'

const approvalOf = (db: Db, run: Row<'runs'>) =>
  db.selectFrom('approvals').selectAll().where('run_id', '=', run.id).executeTakeFirstOrThrow()

/** What each end of an approval means for its run, and what is said about it, once. */
const ends: Readonly<Record<string, readonly [state: string, reason: string | null, said: readonly string[]]>> = {
  pending: ['waiting_approval', null, []],
  approved: ['queued', null, ['stage.approved']],
  denied: ['cancelled', 'approval_denied', ['stage.denied', 'run.cancelled']],
  expired: ['cancelled', 'approval_expired', ['approval.expired', 'run.cancelled']],
}

async function expectOneEnd(db: Db, run: Row<'runs'>) {
  const approval = await approvalOf(db, run)
  const [state, reason, said] = ends[approval.state] ?? []
  const now = await runNow(db, run.id)
  expect([now.state, now.reason], `the run of what is ${approval.state}`).toEqual([state, reason])
  const events = (await saidOf(db, run.id)).filter((type) => type !== 'decision.recorded')
  expect(events, `said of what is ${approval.state}`).toEqual(['approval.requested', ...(said ?? [])])
  const counted = await db
    .selectFrom('decisions')
    .selectAll()
    .where('approval_id', '=', approval.id)
    .where('refusal', 'is', null)
    .execute()
  const approvals = counted.filter(({ decision }) => decision === 'approve')
  const denials = counted.length - approvals.length
  expect(new Set(approvals.map(({ actor_id }) => actor_id)).size, 'people').toBe(approvals.length)
  expect(denials, 'denials').toBe(approval.state === 'denied' ? 1 : 0)
  if (approval.state === 'approved') expect(approvals, 'approvals').toHaveLength(approval.policy.quorum)
  else expect(approvals.length, 'approvals').toBeLessThan(approval.policy.quorum)
  return approval
}

describe('decisions at the same time', () => {
  test('P-4 of a thousand, by the API and by comments, over two replicas, one decides and the others learn what it was', async ({
    db,
    databaseUrl,
  }) => {
    const other = connect(databaseUrl, { name: 'replica' })
    const gates = [replica(db), replica(other)] as const
    const { project, run } = await waitingRun(db)
    const answers: { status: number; state: string; code?: string }[] = []
    const comments: string[] = []
    const BATCH = 50
    for (let first = 0; first < 1_000; first += BATCH) {
      await Promise.all(
        Array.from({ length: BATCH }, async (_, index) => {
          const number = first + index
          const gate = gates[number % 2 === 0 ? 0 : 1]
          const decision = number % 3 === 0 ? 'deny' : 'approve'
          const login = `w${2_000 + number}`
          if (number % 5 === 0) comments.push((await gate.comment(project, run, login, decision)).outcome ?? '')
          else answers.push(await gate.decide(run, login, decision))
        }),
      )
    }
    await other.destroy()
    const approval = await expectOneEnd(db, run)
    const won = answers.filter(({ status }) => status === 200).length
    const wonByComment = comments.filter((outcome) => /^(approve|deny): /.test(outcome)).length
    expect(won + wonByComment, 'winners').toBe(1)
    const late = answers.filter(({ status }) => status !== 200)
    expect(new Set(late.map(({ status, code, state }) => `${status} ${code} ${state}`))).toEqual(
      new Set([`409 decided ${approval.state}`]),
    )
    expect(answers.length + comments.length).toBe(1_000)
  }, 120_000)

  test('P-4 approve, deny and expire in every order end once', async ({ db, databaseUrl }) => {
    const other = connect(databaseUrl, { name: 'replica' })
    const gates = [replica(db), replica(other)] as const
    const step = fc.oneof(
      fc.record({
        kind: fc.constantFrom('approve' as const, 'deny' as const),
        login: fc.constantFrom('w2001', 'w2002', 'w2003', 'r2004', 'w1001'),
        by: fc.constantFrom('api' as const, 'comment' as const),
        on: fc.constantFrom(0 as const, 1 as const),
      }),
      fc.record({ kind: fc.constant('expire' as const), on: fc.constantFrom(0 as const, 1 as const) }),
    )
    const rounds = fc.array(fc.array(step, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 3 })
    await fc.assert(
      fc.asyncProperty(rounds, fc.constantFrom(1, 2), async (plan, quorum) => {
        const { project, run } = await waitingRun(db, { quorum })
        for (const round of plan) {
          await Promise.all(
            round.map(async (one) => {
              const gate = gates[one.on]
              if (one.kind !== 'expire')
                return one.by === 'api'
                  ? gate.decide(run, one.login, one.kind)
                  : gate.comment(project, run, one.login, one.kind)
              await db
                .updateTable('approvals')
                .set({ expires_at: sql`now() - interval '1 second'` })
                .where('run_id', '=', run.id)
                .where('state', '=', 'pending')
                .execute()
              return gate.sweep()
            }),
          )
          await expectOneEnd(db, run)
        }
      }),
      { numRuns: 30 },
    )
    await other.destroy()
  }, 120_000)
})
