import type { BrokerEvent } from './event.ts'

/**
 * What can happen to an event: `accepted` once; then per trigger `attempted` for every request to its subscriber and
 * `dead-letter-attempted` for every one to its dead-letter sink; at the end `delivered`, `dead-lettered`, `dropped` (no
 * dead-letter sink, or it failed too) or `lost` (by `lose()`).
 * `would-panic` marks an answer at which Knative's dispatcher would crash.
 */
export const LEDGER_KINDS = [
  'accepted',
  'attempted',
  'dead-letter-attempted',
  'delivered',
  'dead-lettered',
  'dropped',
  'lost',
  'would-panic',
] as const
export type LedgerKind = (typeof LEDGER_KINDS)[number]

/** One line of the broker's memory. */
export interface LedgerEntry {
  readonly at: Date
  readonly kind: LedgerKind
  readonly source: string
  readonly id: string
  readonly type: string
  readonly trigger?: string
  /** From 1. */
  readonly attempt?: number
  /** As the broker judged it: 0 for no answer, 502 for a body that is no event. */
  readonly status?: number
}

/** What the broker did, in order. */
export interface Ledger {
  /** The newest entries. */
  readonly entries: readonly LedgerEntry[]
  /** Of all entries, also those that are no longer kept. */
  counts(): Readonly<Record<LedgerKind, number>>
}

/** Entries kept; a broker that runs for days forgets the older half of twice as many. */
const KEPT = 100_000

/** A ledger, and the way to write into it. `journal` is told of each entry before anything else happens because of it. */
export function createLedger(now: () => Date, journal?: (entry: LedgerEntry) => void) {
  const counts = Object.fromEntries(LEDGER_KINDS.map((kind) => [kind, 0])) as Record<LedgerKind, number>
  const entries: LedgerEntry[] = []
  const ledger: Ledger = { entries, counts: () => ({ ...counts }) }
  const record = (
    kind: LedgerKind,
    { attributes }: BrokerEvent,
    more: Pick<LedgerEntry, 'trigger' | 'attempt' | 'status'> = {},
  ) => {
    const { source = '', id = '', type = '' } = attributes
    counts[kind] += 1
    const entry = { at: now(), kind, source, id, type, ...more }
    journal?.(entry)
    entries.push(entry)
    if (entries.length > 2 * KEPT) entries.splice(0, KEPT)
  }
  return { ledger, record }
}
export type RecordEntry = ReturnType<typeof createLedger>['record']
