import { hash } from 'node:crypto'
import canonicalize from 'canonicalize'
import * as v from 'valibot'

/** SHA-256 as 64 lower-case hex digits. */
export const Sha256 = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'expected 64 lower-case hex digits'))

/** SHA-256 of the bytes, as 64 lower-case hex digits. */
export function sha256(bytes: Uint8Array | string): string {
  return hash('sha256', bytes)
}

/** The RFC 8785 form of a JSON value: one byte sequence for one value. `undefined` members are dropped. */
export function canonicalJson(value: unknown): string {
  const text = canonicalize(value)
  if (text === undefined) throw new TypeError('not a JSON value')
  return text
}

/** SHA-256 over the RFC 8785 form of a JSON value. */
export function digestOf(value: unknown): string {
  return sha256(canonicalJson(value))
}
