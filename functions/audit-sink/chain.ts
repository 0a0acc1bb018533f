import { createHash } from 'node:crypto'
import { canonicalJson } from '#shared/digest.ts'

/** The link before the first one. */
export const GENESIS = '0'.repeat(64)

/** What one entry of the ledger is made from. */
export interface Entry {
  readonly seq: number
  readonly outboxId: string
  /** When the change was committed, by the database's clock. */
  readonly at: Date
  /** The full change, as the outbox row recorded it. */
  readonly record: unknown
}

/** The bytes that are hashed and kept: the entry in RFC 8785 form. */
export function entryText({ seq, outboxId, at, record }: Entry): string {
  return canonicalJson({ version: 1, seq, outboxId, at: at.toISOString(), record })
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
