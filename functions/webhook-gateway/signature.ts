import { createHmac, createSecretKey, randomBytes, timingSafeEqual, type KeyObject } from 'node:crypto'

/** The keys that a delivery may be signed with; absent ones match nothing. */
export interface Keys {
  readonly current: KeyObject | undefined
  readonly previous: KeyObject | undefined
}

/** Checked before anything is decoded: `Buffer.from('abzz', 'hex')` is one byte and no error. */
const SIGNATURE = /^sha256=[0-9a-f]{64}$/

/** What is hashed with when there is no key, so that a missing one takes as long as a wrong one. */
const decoy = createSecretKey(randomBytes(32))

/**
 * Which of the keys signed these bytes (GitHub's `X-Hub-Signature-256`). A refusal always costs two hashes, whether the
 * hook exists, is being rotated, or has no usable secret at all.
 */
export function verify(bytes: Uint8Array, header: string | null, keys: Keys): keyof Keys | undefined {
  if (header === null || !SIGNATURE.test(header)) return undefined
  const claimed = Buffer.from(header.slice('sha256='.length), 'hex')
  if (matches(bytes, claimed, keys.current)) return 'current'
  if (matches(bytes, claimed, keys.previous)) return 'previous'
  return undefined
}

function matches(bytes: Uint8Array, claimed: Buffer, key: KeyObject | undefined): boolean {
  const usable = key !== undefined && (key.symmetricKeySize ?? 0) > 0
  const digest = createHmac('sha256', usable ? key : decoy)
    .update(bytes)
    .digest()
  return timingSafeEqual(digest, claimed) && usable
}
