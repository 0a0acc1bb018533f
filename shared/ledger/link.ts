import { createHash } from 'node:crypto'

/** The link before the first one. */
export const GENESIS = '0'.repeat(64)

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
