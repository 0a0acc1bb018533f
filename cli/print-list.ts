import type { LimitOption, PrintOptions } from './options.ts'
import { listing, type Listing } from './output.ts'
import type { Terminal } from './terminal.ts'

/** Prints a list as the options say; that there is more of it is said beside it. */
export function printList<Row>(
  terminal: Terminal,
  { output, headers, limit }: PrintOptions & LimitOption,
  { items, more }: { readonly items: readonly Row[]; readonly more: boolean },
  how: Listing<Row>,
): void {
  terminal.out(listing(output, headers, { items }, how))
  if (more) terminal.note(`There are more: --limit ${limit * 2}, or --limit 0 for all.`)
}
