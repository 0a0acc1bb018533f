import { short, shown, spreadOf, type Figure } from './figures.ts'
import type { LoadResult } from './load.ts'

/** One load on one receiver. */
export interface Run extends LoadResult {
  /** Deliveries per second; undefined for the closed loop. */
  readonly rate: number | undefined
  readonly receiver: string
  /** CPU seconds of the receiver's process, and of the database server, while it ran. */
  readonly cpu: number
  readonly databaseCpu: number
}

/** Deliveries per second of the open loops: what is promised, and what no receiver here is at its limit with. */
export const RATES = [500, 100] as const

const byName = (runs: readonly Run[]) => Map.groupBy(runs, (run) => run.receiver)

/** The time to the 202 at fixed rates. */
export function openFigures(runs: readonly Run[]): Figure[] {
  return RATES.flatMap((rate): Figure[] => {
    const same = runs.filter((run) => run.rate === rate)
    const ours = same.find(({ receiver }) => receiver === 'webhook-gateway')
    const memory = same.find(({ receiver }) => receiver === 'in-memory')
    if (ours === undefined || memory === undefined) return []
    const complete = Object.keys(ours.refused).length === 0
    const goal = rate === 500 ? { goal: 'p99 < 50 ms', met: ours.p99 < 50 && complete } : {}
    return [
      {
        name: `deliveries: time to the 202 at ${rate}/s`,
        ours: `${times(ours)}${complete ? '' : `, refused ${JSON.stringify(ours.refused)}`}`,
        beside: same.flatMap((run) => (run === ours ? [] : [`${run.receiver} ${times(run)}`])).join('; '),
        ratio: ours.p99 / memory.p99,
        ...goal,
      },
    ]
  })
}

const times = (run: Run) => `p50 ${short(run.p50)}, p99 ${short(run.p99)} ms`

/** How many there can be: per second, and per second of the receiver's CPU. */
export function closedFigures(runs: readonly Run[]): Figure[] {
  const measured = [...byName(runs)].map(([name, own]) => ({
    name,
    rate: spreadOf(own.map((run) => run.accepted / run.seconds)),
    perCore: spreadOf(own.map((run) => run.accepted / run.cpu)),
    cpu: spreadOf(own.map((run) => (run.cpu / run.accepted) * 1_000)),
    databaseCpu: spreadOf(own.map((run) => (run.databaseCpu / run.accepted) * 1_000)),
  }))
  const ours = measured.find(({ name }) => name === 'webhook-gateway')
  if (ours === undefined) return []
  return measured.flatMap((other): Figure[] => {
    if (other === ours) return []
    const ahead = other.name === 'octokit' || other.name === 'probot'
    const perCore = ours.perCore.median / other.perCore.median
    const goal = ahead ? { goal: '>= 1x', met: perCore >= 1 } : {}
    return [
      {
        name: 'deliveries: per second, one process',
        ours: shown(ours.rate),
        beside: `${other.name} ${shown(other.rate)}`,
        ratio: ours.rate.median / other.rate.median,
      },
      {
        name: 'deliveries: per second and core of it',
        ours: `${shown(ours.perCore)}; per 1,000: ${short(ours.cpu.median)} s, database ${short(ours.databaseCpu.median)} s`,
        beside: `${other.name} ${shown(other.perCore)}; per 1,000: ${short(other.cpu.median)} s, database ${short(other.databaseCpu.median)} s`,
        ratio: perCore,
        ...goal,
      },
    ]
  })
}
