import { createHash } from 'node:crypto'
import { canonicalJson } from '#shared/digest.ts'

/** The link before the first one. */
export const GENESIS = '0'.repeat(64)

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

/**
 * The hash of an entry: SHA-256 over a version tag, the previous hash, the sequence number and the entry, each with its
 * length as 32 bits before it, so that no two splittings of the same bytes hash alike.
 */
export function link(previous: string, seq: number, entry: string): string {
  const hash = createHash('sha256')
  for (const field of ['codex-k8s ledger 1', previous, String(seq), entry]) {
    const bytes = Buffer.from(field)
    const length = Buffer.alloc(4)
    length.writeUInt32BE(bytes.length)
    hash.update(length).update(bytes)
  }
  return hash.digest('hex')
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
