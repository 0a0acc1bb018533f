import * as v from 'valibot'

/** Where a list goes on: the values of its order in the last row that was shown. Whoever made it up is told that it is none. */
export function writeCursor(values: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(values)).toString('base64url')
}

/** The values of a cursor by the list's own schema; undefined for a text that is no cursor of this list. */
export function readCursor<const S extends v.GenericSchema>(schema: S, cursor: string): v.InferOutput<S> | undefined {
  const parsed = v.safeParse(
    v.pipe(v.string(), v.parseJson(), schema),
    Buffer.from(cursor, 'base64url').toString('utf8'),
  )
  return parsed.success ? parsed.output : undefined
}

/** One more row than asked for was read: it says that there is more, and is not shown. */
export function page<T>(
  rows: readonly T[],
  limit: number,
  valuesOf: (row: T) => readonly (string | number)[],
): { readonly shown: readonly T[]; readonly next: string | null } {
  const shown = rows.slice(0, limit)
  const last = shown.at(-1)
  return { shown, next: rows.length > limit && last !== undefined ? writeCursor(valuesOf(last)) : null }
}

/** Order by time and id. */
export const ByTime = v.strictTuple([v.pipe(v.string(), v.isoTimestamp()), v.pipe(v.string(), v.uuid())])

export const iso = (time: Date): string => time.toISOString()
export const isoOrNull = (time: Date | null): string | null => time?.toISOString() ?? null
