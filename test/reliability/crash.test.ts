import { describe, expect } from 'vitest'
import type { Db } from '#shared/db/connect.ts'
import { runThroughCrash } from '../support/crash.ts'
import { test } from '../support/database.ts'
import { redeliverFailed } from '../support/deliveries.ts'
import { expectNothingLost, expectOnceAndOnlyOnce } from '../support/invariants.ts'
import { startModel } from '../support/model.ts'
import { endOf } from '../support/processes.ts'
import { functionsWithBudget } from '../support/workflow.ts'
import { startWorld } from '../support/world.ts'

/** Each arrow of the protocol with its row, where it has one, and what it is called there. */
const points: [point: string, row: string][] = [
  ['gateway.before-commit', 'C1'],
  ['gateway.after-commit', 'C2'],
  ['gateway.before-answer', 'C2'],
  ['relay.after-claim', 'C4'],
  ['relay.after-post com.github.issues.labeled', 'C4'],
  ['relay.after-post dev.codex-k8s.stage.approved.v1', 'C4'],
  ['relay.after-mark dev.codex-k8s.stage.approved.v1', 'C4'],
  ['relay.after-post dev.codex-k8s.run.finished.v1', 'C4'],
  ['handle.before-transaction label-router', 'C7'],
  ['handle.before-commit label-router', 'C7'],
  ['handle.after-commit label-router', 'C6'],
  ['dispatcher.before-intent-commit', 'C8'],
  ['dispatcher.after-intent', 'C8'],
  ['dispatcher.after-create', 'C9'],
  ['handle.before-commit stage-dispatcher', 'C9'],
  ['handle.after-commit stage-dispatcher', 'C9'],
  ['run-gateway.before-result-commit', 'C6'],
  ['run-gateway.after-result-commit', 'C6'],
  ['publisher.after-intent', 'C12'],
  ['publisher.after-commit', 'C12'],
  ['publisher.after-pull-request', 'C13'],
  ['handle.after-commit change-publisher', 'C13'],
  ['reporter.before-create', 'comment'],
  ['reporter.after-create', 'comment'],
  ['handle.after-commit status-reporter', 'comment'],
  ['audit.before-append', 'C15'],
  ['audit.after-append', 'C15'],
]

describe('a process that is killed', () => {
  test.for(points)(
    '%s (%s): one run, one Job, one pull request, nothing lost',
    async ([point], { db, databaseUrl }) => {
      await runThroughCrash({ db, databaseUrl, crashPoint: point })
      await expectNoOpenIntent(db)
    },
  )

  test.for(['dispatcher.before-verdict-commit', 'dispatcher.after-verdict'])(
    '%s (C10): the agent was killed and its attempt judged once; the next one does the work',
    async (point, { db, databaseUrl }) => {
      const change = { dies: 1, files: { 'hello.txt': 'hello\n' } }
      await runThroughCrash({ db, databaseUrl, crashPoint: point, change })
      const attempts = await db.selectFrom('attempts').select('state').orderBy('attempt').execute()
      expect(attempts.map(({ state }) => state)).toEqual(['lost', 'finished'])
    },
  )

  test.for(['model.after-denial', 'model.before-exhausted-commit'])(
    '%s (budget): the agent asks again, and the run ends once with its reason',
    async (crashPoint, { db, databaseUrl }) => {
      const model = await startModel()
      const functions = functionsWithBudget({ tokens: 32_100 })
      const world = await startWorld({
        db,
        databaseUrl,
        functions,
        crashPoint,
        change: { spends: true },
        modelUrl: model.url,
      })
      await world.drain()
      await world.arm()
      await world.label(await world.issue())
      expect(await endOf(world.functions())).toMatchObject({ signal: 'SIGKILL' })
      await world.restart()
      await world.expireLeases()
      await redeliverFailed(world)
      await world.drain()
      expect(await db.selectFrom('runs').select(['state', 'reason']).execute()).toEqual([
        { state: 'failed', reason: 'budget_exhausted' },
      ])
      const ends = await db.selectFrom('outbox').select('id').where('type', 'like', '%run.failed%').execute()
      expect(ends).toHaveLength(1)
      await expectOnceAndOnlyOnce(world, db, { runs: 0, failed: 1 })
    },
  )

  // The agent comes again and is not kept waiting by the stream that died; what that one reserved stays charged.
  test.for([
    ['model.after-reserve', 1],
    ['model.before-settle', 2],
  ] as const)(
    '%s: the call that was cut is charged, the next one is answered',
    async ([point, asked], { db, databaseUrl }) => {
      const model = await startModel()
      const change = { asks: true, files: { 'hello.txt': 'hello\n' } }
      await runThroughCrash({ db, databaseUrl, crashPoint: point, change, modelUrl: model.url })
      const calls = await db.selectFrom('model_calls').selectAll().orderBy('created_at').execute()
      expect(calls.map(({ state }) => state)).toEqual(['charged', 'settled'])
      expect(calls[0]?.charged_tokens).toBe(calls[0]?.reserved_tokens)
      expect(calls[1]?.charged_tokens).toBe(105)
      expect(model.asked()).toBe(asked)
    },
  )
})

test.for(['publisher.after-intent', 'publisher.after-commit', 'handle.after-commit change-publisher'])(
  'C12, C13 %s of a revision: one commit more on the same pull request',
  async (crashPoint, { db, databaseUrl }) => {
    const world = await startWorld({ db, databaseUrl, crashPoint })
    const issue = await world.issue()
    await world.label(issue)
    await world.drain()
    await world.arm()
    await world.label(issue, 'run:dev:revise')
    expect(await endOf(world.functions())).toMatchObject({ signal: 'SIGKILL' })
    await world.restart()
    await world.expireLeases()
    await redeliverFailed(world)
    await world.drain()
    const runs = await db.selectFrom('runs').select(['label', 'state']).orderBy('created_at').execute()
    expect(runs).toEqual(['run:dev', 'run:dev:revise'].map((label) => ({ label, state: 'succeeded' })))
    const [pull, ...others] = await world.forgeLedger('pull.created')
    expect(others).toEqual([])
    const path = `/repos/maria/shop/pulls/${String(pull?.['number'])}/commits`
    expect(await world.person<object[]>('GET', path)).toHaveLength(2)
    await expectNothingLost(db)
  },
)

/** What was tried outside is known to have happened: nothing is left that a later sweep would try again. */
async function expectNoOpenIntent(db: Db): Promise<void> {
  const open = await db.selectFrom('intents').select(['kind', 'name']).where('state', '=', 'intended').execute()
  expect(open).toEqual([])
}
