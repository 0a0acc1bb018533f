/** Largest part of a list that the API gives at once. */
const PAGE = 200

/** A part of a list. */
export interface Page<Item> {
  readonly items: readonly Item[]
  /** Cursor of the rest; null at the end. */
  readonly next: string | null
}

/** The first items of a list, as many as wanted, 0 for all, and whether there are more. */
export async function firstOf<Item>(
  limit: number,
  ask: (part: { readonly limit: number; readonly cursor: string | undefined }) => Promise<Page<Item>>,
): Promise<{ readonly items: readonly Item[]; readonly more: boolean }> {
  const wanted = limit === 0 ? Number.POSITIVE_INFINITY : limit
  const items: Item[] = []
  let cursor: string | undefined
  for (;;) {
    const page = await ask({ limit: Math.min(PAGE, wanted - items.length), cursor })
    items.push(...page.items)
    if (page.next === null || items.length >= wanted) return { items, more: page.next !== null }
    cursor = page.next
  }
}
