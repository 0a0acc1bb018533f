/** Middle, ends and number of some measurements of one thing. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
  readonly count: number
}

/** One line of the final table. Ours, and what stands beside it from the same run. */
export interface Figure {
  readonly name: string
  readonly ours: string
  /** The floor or the peer, and what it is. */
  readonly beside: string
  /** Ours divided by the other one. */
  readonly ratio?: number
  readonly goal?: string
  /** Undefined where there is no goal. */
  readonly met?: boolean
}

/** What a section found out: lines of the table, and everything else as data for the JSON file. */
export interface Section {
  readonly figures: readonly Figure[]
  /** What a reader has to know beside the table. */
  readonly notes: readonly string[]
  readonly data: unknown
}

/** The spread of at least one measurement. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  return { median: quantile(sorted, 0.5), min: quantile(sorted, 0), max: quantile(sorted, 1), count: sorted.length }
}

/** A quantile of sorted values, by the nearest rank: a value that was really measured. */
export function quantile(sorted: readonly number[], q: number): number {
  const value = sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)]
  if (value === undefined) throw new Error('nothing was measured')
  return value
}

/** `98.1 (91.0-120.3)`. */
export function shown({ median, min, max }: Spread, unit = ''): string {
  return `${short(median)}${unit} (${short(min)}-${short(max)})`
}

/** A number as a person wants it: three digits that matter. */
export function short(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString('en-US')
  return value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2)
}

/** The final table, aligned. */
export function table(figures: readonly Figure[]): string {
  const rows = [
    ['figure', 'ours', 'floor or peer', 'ratio', 'goal', ''],
    ...figures.map((each) => [
      each.name,
      each.ours,
      each.beside,
      each.ratio === undefined ? '' : `${each.ratio.toFixed(2)}x`,
      each.goal ?? '',
      each.met === undefined ? '' : each.met ? 'met' : 'MISSED',
    ]),
  ]
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? []
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
