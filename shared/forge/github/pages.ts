/** Most pages read of one list. */
const MOST_PAGES = 30

/** Size of a page, the largest that GitHub gives. */
export const PER_PAGE = 100

interface Page<T> {
  readonly data: readonly T[]
  readonly headers: { readonly link?: string | undefined }
}

/** The items of a list in its own order, at most 3,000. Pages are asked for by number: no link of an answer is followed. */
export async function* forward<T>(read: (page: number) => Promise<Page<T>>): AsyncGenerator<T> {
  for (let page = 1; page <= MOST_PAGES; page++) {
    const { data } = await read(page)
    yield* data
    if (data.length < PER_PAGE) return
  }
}

/** The items of a list from its end, at most 3,000. Only the number of the last page is taken from a link. */
export async function* backward<T>(read: (page: number) => Promise<Page<T>>): AsyncGenerator<T> {
  const first = await read(1)
  const last = Math.min(
    Number(/[?&]page=(\d{1,6})[^>]*>;\s*rel="last"/.exec(first.headers.link ?? '')?.[1] ?? 1),
    100_000,
  )
  for (let page = last; page > Math.max(1, last - MOST_PAGES + 1); page--) yield* (await read(page)).data.toReversed()
  if (last <= MOST_PAGES) yield* first.data.toReversed()
}
