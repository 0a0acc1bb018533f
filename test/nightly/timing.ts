import type { Gateway, Verdict } from './gateway.ts'

/** Above this Welch's t two sets of times are held to be different, as usual in the search for side channels. */
const T_LIMIT = 4.5

/** W20: whether the time of a refusal tells a hook that exists from one that does not. */
export async function timingOracle(gateway: Gateway, each: number): Promise<Verdict[]> {
  const known: number[] = []
  const unknown: number[] = []
  const absent = gateway.hookPath.replace(/[^/]+$/, (id) => id.split('').toReversed().join(''))
  const sample = async (path: string, times: number[]) => {
    const { status, ms } = await gateway.deliver({ path, signed: false })
    if (status !== 401) throw new Error(`expected 401, got ${status}`)
    times.push(ms)
  }
  for (let index = 0; index < each + 200; index += 1) {
    // In turn, and the first of each pair changes: whatever drifts touches both alike.
    const pair = [() => sample(gateway.hookPath, known), () => sample(absent, unknown)]
    for (const one of index % 2 === 0 ? pair : pair.toReversed()) await one()
  }
  const t = welch(trimmed(known.slice(200)), trimmed(unknown.slice(200)))
  return [
    {
      row: 'W20',
      says: `${each} refusals each of a known and an unknown hook: Welch's t ${t.toFixed(2)} (limit ${T_LIMIT})`,
      holds: Math.abs(t) < T_LIMIT,
    },
  ]
}

/** Without the slowest twentieth: a pause of the machine says nothing about either. */
function trimmed(times: readonly number[]): number[] {
  return times.toSorted((a, b) => a - b).slice(0, Math.floor(times.length * 0.95))
}

function welch(one: readonly number[], other: readonly number[]): number {
  const [a, b] = [moments(one), moments(other)]
  return (a.mean - b.mean) / Math.sqrt(a.variance / one.length + b.variance / other.length)
}

function moments(values: readonly number[]): { mean: number; variance: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return { mean, variance: squares / (values.length - 1) }
}
