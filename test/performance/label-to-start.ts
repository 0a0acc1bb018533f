import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { EVENT_TYPES } from '#shared/events/types.ts'
import type { Db } from '#shared/db/connect.ts'
import { onlyRow } from './event-ask.ts'
import { quantile, shown, short, spreadOf, type Section } from './figures.ts'
import type { Ground } from './ground.ts'
import { startLocalStack, type LocalStack } from './stack.ts'

/** When one label reached each place, milliseconds after it was set. All clocks are this machine's. */
interface Way {
  readonly stored: number
  readonly approved: number
  readonly intended: number
  readonly called: number
  readonly answered: number
}

const legs = [
  ['forge and gateway, to the inbox row', 'stored', undefined],
  ['router, to stage.approved', 'approved', 'stored'],
  ['dispatcher, to the committed intent', 'intended', 'approved'],
  ['start of supervisor and agent, two processes, to the first call', 'called', 'intended'],
  ['run-gateway, its answer', 'answered', 'called'],
] as const satisfies (readonly [string, keyof Way, keyof Way | undefined])[]

/** From a label at the forge to the agent's first call, everything warm, one after the other. */
export async function labelToStart(ground: Ground): Promise<Section> {
  const runs = ground.quick ? 3 : 60
  const stack = await startLocalStack(ground)
  const ways: Way[] = []
  try {
    for (let run = -2; run < runs; run += 1) {
      const way = await oneWay(stack)
      if (run >= 0) ways.push(way)
    }
  } finally {
    await stack.close()
  }
  const total = ways.map(({ called }) => called).toSorted((a, b) => a - b)
  const [p50, p99] = [quantile(total, 0.5), quantile(total, 0.99)]
  const parts = legs.map(([what, to, from]) => {
    const spread = spreadOf(ways.map((way) => way[to] - (from === undefined ? 0 : way[from])))
    return `${what} ${shown(spread, ' ms')}`
  })
  return {
    figures: [
      {
        name: `label to the agent's first call, ${runs} runs`,
        ours: `p50 ${short(p50)}, p99 ${short(p99)} ms`,
        beside: `without processes (to the committed intent) p50 ${short(spreadOf(ways.map((way) => way.intended)).median)} ms`,
        goal: 'p99 < 1 s',
        met: p99 < 1_000,
      },
    ],
    notes: [`label to start, where the time goes: ${parts.join('; ')}`],
    data: ways,
  }
}

async function oneWay({ world, broker, jobs }: LocalStack): Promise<Way> {
  const { db } = world
  const issue = await world.issue()
  const began = Date.now()
  await world.label(issue)
  const { mark, folder } = await eventualMark(db, jobs, issue)
  if (mark.status !== 200) throw new Error(`the agent of ${folder} was answered ${mark.status}`)
  const run = await onlyRow(db.selectFrom('runs').selectAll().where('subject_number', '=', issue))
  const inbox = await onlyRow(
    db
      .selectFrom('inbox')
      .innerJoin('outbox', 'outbox.inbox_id', 'inbox.id')
      .select('received_at')
      .where('outbox.type', '=', 'com.github.issues.labeled')
      .where('outbox.subject', '=', String(issue)),
  )
  const approved = await onlyRow(
    db
      .selectFrom('outbox')
      .select('created_at')
      .where('type', '=', EVENT_TYPES.stageApproved)
      .where('subject', '=', `runs/${run.id}`),
  )
  const attempt = await onlyRow(db.selectFrom('attempts').select('created_at').where('run_id', '=', run.id))
  await atRest(db, broker)
  return {
    stored: inbox.received_at.getTime() - began,
    approved: approved.created_at.getTime() - began,
    intended: attempt.created_at.getTime() - began,
    called: mark.asked - began,
    answered: mark.answered - began,
  }
}

/** What the agent of this issue wrote down. The looks are far apart: they must not take the processor from what is measured. */
async function eventualMark(db: Db, jobs: string, issue: number) {
  for (let look = 0; look < 400; look += 1) {
    await sleep(50)
    const intent = await db
      .selectFrom('intents')
      .innerJoin('runs', 'runs.id', 'intents.run_id')
      .select('intents.name')
      .where('runs.subject_number', '=', issue)
      .where('intents.kind', '=', 'job')
      .executeTakeFirst()
    if (intent === undefined) continue
    const folder = join(jobs, intent.name)
    try {
      const mark = JSON.parse(readFileSync(join(folder, 'work', 'mark.json'), 'utf8')) as {
        asked: number
        answered: number
        status: number
      }
      return { mark, folder }
    } catch {
      // Not there yet, or half written.
    }
  }
  throw new Error(`no agent for issue ${issue}`)
}

/** The run is over and the broker holds nothing: the next label finds a quiet stack. */
async function atRest(db: Db, broker: LocalStack['broker']): Promise<void> {
  for (let look = 0; look < 400; look += 1) {
    const active = await db.selectFrom('runs').select('id').where('state', 'in', ['starting', 'running']).execute()
    if (active.length === 0) return broker.idle()
    await sleep(25)
  }
  throw new Error('the run did not end')
}
