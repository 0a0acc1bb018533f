import { describe, expect } from 'vitest'
import { test } from '../support/database.ts'
import { expectOnceAndOnlyOnce } from '../support/invariants.ts'
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
  ['audit.before-insert', 'C15'],
  ['audit.before-commit', 'C15'],
]

describe('a process that is killed', () => {
  test.for(points)('%s (%s): one run, one Job, one pull request, nothing lost', async ([point], { db, databaseUrl }) => {
    const world = await startWorld({ db, databaseUrl, crashPoint: point })
    await world.drain()
    await world.arm()

    const issue = await world.issue()
    await world.label(issue)
    expect(await world.functions().exited).toMatchObject({ signal: 'SIGKILL' })
    await world.restart()
    await world.expireLeases()
    await redeliverFailed(world)
    await world.drain()

    await expectOnceAndOnlyOnce(world, db, { runs: 1 })
  })
})

/** What a person, or the reconciler, does with deliveries that the forge lists as failed. */
async function redeliverFailed(world: Awaited<ReturnType<typeof startWorld>>): Promise<void> {
  const [hook] = await world.person<{ id: number }[]>('GET', '/repos/maria/shop/hooks')
  const deliveries = await world.person<{ id: number; status_code: number }[]>('GET', `/repos/maria/shop/hooks/${hook?.id}/deliveries`)
  for (const { id, status_code } of deliveries) {
    if (status_code !== 202) await world.person('POST', `/repos/maria/shop/hooks/${hook?.id}/deliveries/${id}/attempts`)
  }
}
