import { describe, expect } from 'vitest'
import type { Db } from '#shared/db/connect.ts'
import { test } from '../support/database.ts'
import { redeliverFailed } from '../support/deliveries.ts'
import { expectOnceAndOnlyOnce } from '../support/invariants.ts'
import { startModel } from '../support/model.ts'
import { endOf } from '../support/processes.ts'
import { startWorld, type World, type WorldOptions } from '../support/world.ts'

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
  ['audit.before-insert', 'C15'],
  ['audit.before-commit', 'C15'],
]

describe('a process that is killed', () => {
  test.for(points)(
    '%s (%s): one run, one Job, one pull request, nothing lost',
    async ([point], { db, databaseUrl }) => {
      await runThroughCrash({ db, databaseUrl, crashPoint: point })
      await expectNoOpenIntent(db)
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

/** One issue, one label, a SIGKILL on the way; then a restart, the forge's redelivery, and everything has come to its end once. */
async function runThroughCrash(options: WorldOptions): Promise<World> {
  const world = await startWorld(options)
  await world.drain()
  await world.arm()
  await world.label(await world.issue())
  // On a slow machine a relay may run out of time on the way; then it is the sweep that gets us there.
  const sweeping = setInterval(() => void world.sweep().catch(() => {}), 3_000)
  const end = await endOf(world.functions()).finally(() => clearInterval(sweeping))
  expect(end).toMatchObject({ signal: 'SIGKILL' })
  await world.restart()
  await world.expireLeases()
  await redeliverFailed(world)
  await world.drain()
  await expectOnceAndOnlyOnce(world, options.db, { runs: 1 })
  return world
}

/** What was tried outside is known to have happened: nothing is left that a later sweep would try again. */
async function expectNoOpenIntent(db: Db): Promise<void> {
  const open = await db.selectFrom('intents').select(['kind', 'name']).where('state', '=', 'intended').execute()
  expect(open).toEqual([])
}
