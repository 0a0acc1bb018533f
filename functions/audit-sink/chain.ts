import { canonicalJson } from '#shared/digest.ts'
import { link } from '#shared/ledger/link.ts'

/** A committed change, as the outbox row recorded it. */
export interface Recorded {
  readonly outboxId: string
  /** When its transaction began, by the database's clock; RFC 3339 in UTC with milliseconds. */
  readonly at: string
  /** The full change. */
  readonly record: unknown
}

/** What one entry of the ledger is made from. */
export interface Entry extends Recorded {
  readonly seq: number
}

/** An entry with its hash, which holds it to the one before. */
export interface Link {
  readonly outboxId: string
  readonly entry: string
  readonly hash: string
}

/** The bytes that are hashed and kept: the entry in RFC 8785 form. */
export function entryText({ seq, outboxId, at, record }: Entry): string {
  return canonicalJson({ version: 1, seq, outboxId, at, record })
}

/** The links that continue a chain, one for each record, in this order. */
export function chain(head: { readonly seq: number; readonly hash: string }, records: readonly Recorded[]): Link[] {
  let previous = head.hash
  return records.map((recorded, index) => {
    const seq = head.seq + 1 + index
    const { outboxId, at, record } = recorded
    const entry = entryText({ seq, outboxId, at, record })
    const hash = link(previous, seq, entry)
    previous = hash
    return { outboxId, entry, hash }
  })
}
