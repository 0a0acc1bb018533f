/** Whether an event is for a trigger, told from its attributes and extensions; never from its data. */
export type Filter = (attributes: Readonly<Record<string, string>>) => boolean

/** `filter.attributes`: all equal; the empty text means any value, of an attribute that is there. */
export function attributesFilter(wanted: Readonly<Record<string, unknown>>): Filter {
  const pairs = Object.entries(wanted).map(([name, value]) => [name, String(value)] as const)
  return (attributes) =>
    pairs.every(([name, value]) => attributes[name] !== undefined && (value === '' || attributes[name] === value))
}

const texts: Record<string, (value: string, wanted: string) => boolean> = {
  exact: (value, wanted) => value === wanted,
  prefix: (value, wanted) => value.startsWith(wanted),
  suffix: (value, wanted) => value.endsWith(wanted),
}

const lists: Record<string, (filters: readonly Filter[]) => Filter> = {
  all: (filters) => (attributes) => filters.every((matches) => matches(attributes)),
  any: (filters) => (attributes) => filters.some((matches) => matches(attributes)),
}

/** One item of `spec.filters`: one dialect, as Knative's webhook demands. Throws for what is not played here (`cesql`). */
export function dialectFilter(item: unknown): Filter {
  const entries = Object.entries((item ?? {}) as Record<string, unknown>)
  const [dialect, value] = entries[0] ?? []
  if (dialect === undefined || entries.length > 1) throw new Error('a filter has exactly one dialect')
  const text = texts[dialect]
  if (text) {
    const pairs = Object.entries(value as Record<string, unknown>).map(
      ([name, wanted]) => [name, String(wanted)] as const,
    )
    return (attributes) =>
      pairs.every(([name, wanted]) => attributes[name] !== undefined && text(attributes[name], wanted))
  }
  const list = lists[dialect]
  if (list) return list((value as unknown[]).map(dialectFilter))
  if (dialect === 'not') {
    const inner = dialectFilter(value)
    return (attributes) => !inner(attributes)
  }
  throw new Error(`unknown filter dialect ${dialect}`)
}
