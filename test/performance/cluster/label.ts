import { EVENT_TYPES } from '#shared/events/types.ts'
import { RUNS_NAMESPACE } from '../../cluster/platform.ts'
import { eventually } from '../../support/wait.ts'
import { onlyRow } from '../event-ask.ts'
import { quantile, short, shown, spreadOf, type Section } from '../figures.ts'
import type { ClusterGround } from './ground.ts'
import { watch } from './watch.ts'

/** When one label reached each place, milliseconds after it was set. Forge, database and the look at Jobs have one clock. */
interface Way {
  readonly stored: number
  readonly approved: number
  readonly intended: number
  readonly job: number
}

const legs = [
  ['forge, ingress and gateway, to the stored delivery', 'stored', undefined],
  ['broker and router, to stage.approved', 'approved', 'stored'],
  ['broker and dispatcher, to the committed intent', 'intended', 'approved'],
  ['Kubernetes, to the Job', 'job', 'intended'],
] as const satisfies (readonly [string, keyof Way, keyof Way | undefined])[]

/** From a label at the forge to the Job's object: with everything there, and with everything at zero. */
export async function label(ground: ClusterGround): Promise<Section> {
  const [warmRuns, coldRuns] = ground.quick ? [3, 1] : [60, 12]
  const jobs = new Map<string, number>()
  const { stop } = watch('jobs', RUNS_NAMESPACE, ({ type, object, at }) => {
    if (type === 'ADDED') jobs.set(object.metadata.name, at)
  })
  const [warm, fromZero, bare]: [Way[], Way[], number[]] = [[], [], []]
  try {
    for (let run = -2; run < warmRuns; run += 1) {
      const way = await oneWay(ground, jobs, await issue(ground))
      if (run >= 0) warm.push(way)
    }
    ground.say('label: warm')
    for (let run = -1; run < coldRuns; run += 1) {
      const number = await issue(ground)
      await ground.atZero()
      const floor = await ground.ask(ground.bare[0] ?? '', 202, { method: 'POST', path: '/', body: '{}' })
      const way = await oneWay(ground, jobs, number)
      if (run < 0) continue
      fromZero.push(way)
      bare.push(floor.milliseconds)
      ground.say(`label: from zero, ${fromZero.length} of ${coldRuns}`)
    }
  } finally {
    stop()
  }
  const total = (ways: readonly Way[]) => ways.map(({ job }) => job).toSorted((a, b) => a - b)
  const [warmTimes, zeroTimes] = [total(warm), total(fromZero)]
  const zero = quantile(zeroTimes, 0.5)
  // The gateway's own start, from the label to the stored delivery: the one that nothing can go beside.
  const one = spreadOf(fromZero.map(({ stored }) => stored))
  const both = (times: readonly number[]) =>
    `p50 ${short(quantile(times, 0.5))}, p99 ${short(quantile(times, 0.99))} ms`
  return {
    figures: [
      {
        name: `label to Job, warm, ${warm.length} runs`,
        ours: both(warmTimes),
        beside: '',
        goal: 'p99 < 1 s',
        met: quantile(warmTimes, 0.99) < 1_000,
      },
      {
        name: `label to Job, everything at zero, ${fromZero.length} runs`,
        ours: both(zeroTimes),
        beside: `one cold start, the gateway's, ${shown(one, ' ms')}`,
        ratio: zero / one.median,
        goal: '<= 2x',
        met: zero / one.median <= 2,
      },
      {
        name: 'label to Job, everything at zero, beside a bare server',
        ours: `p50 ${short(zero)} ms`,
        beside: `bare ${shown(spreadOf(bare), ' ms')}`,
        ratio: zero / spreadOf(bare).median,
      },
    ],
    notes: [
      `label to Job, warm, where the time goes: ${parts(warm)}`,
      `label to Job, from zero, where the time goes: ${parts(fromZero)}`,
    ],
    data: { warm, fromZero, bare },
  }
}

function parts(ways: readonly Way[]): string {
  return legs
    .map(([what, to, from]) => {
      const spread = spreadOf(ways.map((way) => way[to] - (from === undefined ? 0 : way[from])))
      return `${what} ${shown(spread, ' ms')}`
    })
    .join('; ')
}

/** An issue that everybody has heard of. */
async function issue({ place, settled }: ClusterGround): Promise<number> {
  await place.restPace()
  const number = await place.issue('The total is wrong')
  await settled()
  return number
}

/** Sets the label, follows it to the Job, takes it back, and waits until nothing is left to do. */
async function oneWay(
  { place, settled }: ClusterGround,
  jobs: ReadonlyMap<string, number>,
  number: number,
): Promise<Way> {
  const { db, repository } = place
  const began = Date.now()
  await place.label(number)
  const seen = await eventually(() => [...jobs].find(([, at]) => at > began), {
    what: `a Job for issue ${number}`,
    timeoutMs: 60_000,
    everyMs: 50,
  })
  const [name, job] = seen
  const run = await onlyRow(
    db
      .selectFrom('runs')
      .innerJoin('intents', 'intents.run_id', 'runs.id')
      .innerJoin('attempts', 'attempts.run_id', 'runs.id')
      .select(['runs.id', 'intents.name', 'attempts.created_at as intended'])
      .where('runs.project_id', '=', repository.projectId)
      .where('runs.subject_number', '=', number)
      .where('intents.kind', '=', 'job'),
    'run',
  )
  if (run.name !== name) throw new Error(`issue ${number} should have the Job ${run.name} and not ${name}`)
  const event = (type: string, subject: string) =>
    onlyRow(
      db
        .selectFrom('outbox')
        .select('created_at as at')
        .where('type', '=', type)
        .where('subject', '=', subject)
        .orderBy('seq', 'desc')
        .limit(1),
      `${type} about ${subject}`,
    )
  const stored = await event('com.github.issues.labeled', String(number))
  const approved = await event(EVENT_TYPES.stageApproved, `runs/${run.id}`)
  // Nobody waits for it any more: the Job goes, and the next label finds a quiet platform.
  await place.alice('DELETE', `/repos/${repository.fullName}/issues/${number}/labels/run:dev`)
  await eventually(
    async () => {
      const row = await onlyRow(db.selectFrom('runs').select('state').where('id', '=', run.id))
      return row.state === 'cancelled'
    },
    { what: `the run of issue ${number} to be cancelled`, timeoutMs: 60_000, everyMs: 100 },
  )
  await settled()
  return {
    stored: stored.at.getTime() - began,
    approved: approved.at.getTime() - began,
    intended: run.intended.getTime() - began,
    job: job - began,
  }
}
