import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { ask, expectStatus } from './ask.ts'
import { startChild } from './child.ts'
import { environmentOf } from './environment.ts'
import type { Figure } from './figures.ts'
import { startForgeWorld, wayThrough } from './forge-world.ts'
import type { Ground } from './ground.ts'
import { grow, type Size } from './growth-rows.ts'
import { withClient } from './ledger-rows.ts'
import { plansIn, readsOf, type Read } from './plan-log.ts'
import { startElsewhere } from './servers.ts'
import { walk } from './walk.ts'

/** Tables that keep every row they ever had; a query that reads them whole becomes slower every day. */
const GROWING = new Set(
  'inbox outbox deliveries subjects blobs bundles changes runs attempts intents uploads progress model_calls approvals decisions links comments ledger'.split(
    ' ',
  ),
)

/** Rows of a growing table that one statement may look at without being asked why; a sweep takes 500 at a time. */
const ROWS = 600

/** A statement that some function really ran, with what it read. */
export interface Statement {
  readonly function: string
  readonly text: string
  readonly ms: number
  readonly times: number
  readonly reads: readonly Read[]
}

/**
 * Walks one issue from label to pull request, then lets every function sweep, in a database that has grown; the server
 * writes down the plan of everything that was executed.
 */
export async function plansOf(
  ground: Ground,
  size: Size,
): Promise<{ figures: Figure[]; notes: string[]; data: readonly Statement[] }> {
  const url = await ground.database()
  const world = await startForgeWorld(ground, url)
  const elsewhere = await startElsewhere()
  const before = ground.postgresLog().length
  try {
    await world.hook(elsewhere.hookUrl)
    await grow(url, size)
    await withClient(url, async (client) => {
      const name = new URL(url).pathname.slice(1)
      await client.query(`alter database ${name} set session_preload_libraries = 'auto_explain'`)
      for (const setting of ['log_min_duration = 0', 'log_analyze = on', 'log_timing = off', "log_format = 'json'"])
        await client.query(`alter database ${name} set auto_explain.${setting}`)
    })
    for (const step of await walk(wayThrough(world, elsewhere))) {
      const asked = await step.ask()
      mkdirSync(join(ground.folder, 'jobs'), { recursive: true })
      const env = environmentOf(step.name, world, elsewhere, ground.folder)
      const script = await ground.bundleOf(step.name)
      const child = await startChild(script, { env, until: /"url":"([^"]+)".*"listening"/ })
      const base = child.ready?.[1] ?? ''
      await expectStatus(base, step.status, asked)
      await step.after?.((status, next) => expectStatus(base, status, next))
      // Whatever it answers: the run of the gate's turn is on no forge, and its comment cannot be written.
      await ask(base, { method: 'POST', path: '/sweep?grace=0' })
      await child.stop()
    }
  } finally {
    await world.close()
    elsewhere.close()
  }
  return report(plansIn(ground.postgresLog().slice(before)).map((plan) => ({ ...plan, reads: readsOf(plan.root) })))
}

function report(plans: readonly { user: string; text: string; ms: number; reads: Read[] }[]) {
  const ours = plans.filter(({ user }) => !user.startsWith('bench'))
  const statements = [...Map.groupBy(ours, ({ user, text }) => `${user} ${text}`).values()].map((same): Statement => {
    const worst = same.toSorted((a, b) => b.ms - a.ms)[0]
    if (worst === undefined) throw new Error('an empty group')
    const { user, text, ms, reads } = worst
    return { function: user, text, ms, times: same.length, reads }
  })
  // A table of a page or two is always read whole, whatever indexes it has.
  const much = (read: Read) => GROWING.has(read.table) && read.rows > ROWS
  const scans = statements.filter(({ reads }) => reads.some((read) => much(read) && read.index === undefined))
  const wide = statements.filter((each) => !scans.includes(each) && each.reads.some(much))
  const line = ({ function: user, text, ms, reads }: Statement) =>
    `${user}: ${reads
      .filter(much)
      .map((read) => `${read.table} ${read.index ?? 'SEQUENTIAL'} ${read.rows} rows`)
      .join(', ')}; ${ms.toFixed(1)} ms; ${text.replaceAll(/\s+/g, ' ').slice(0, 260)}`
  const indexes = new Set(statements.flatMap(({ reads }) => reads.flatMap(({ index }) => index ?? [])))
  return {
    figures: [
      {
        name: 'growth: statements of the chain that read a growing table whole',
        ours: `${scans.length} of ${statements.length}; ${wide.length} more read over ${ROWS} rows of one`,
        beside: '0',
        goal: '0',
        met: scans.length + wide.length === 0,
      },
    ],
    notes: [
      ...scans.map((each) => `growth, sequential scan: ${line(each)}`),
      ...wide.map((each) => `growth, many rows: ${line(each)}`),
      `growth: indexes in use: ${[...indexes].toSorted().join(', ')}`,
    ],
    data: statements,
  }
}
