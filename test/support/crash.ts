import { expect } from 'vitest'
import { redeliverFailed } from './deliveries.ts'
import { expectOnceAndOnlyOnce } from './invariants.ts'
import { endOf } from './processes.ts'
import { startWorld, type World, type WorldOptions } from './world.ts'

/** One issue, one label, a SIGKILL on the way; then a restart, the forge's redelivery, and everything has come to its end once. */
export async function runThroughCrash(options: WorldOptions): Promise<World> {
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
