import { Buffer } from 'node:buffer'
import { canarySearch } from './canary-search.ts'
import { findTokens } from './patterns.ts'
import type { Hit, SecretCode } from './patterns.ts'
import { unpack } from './unpack.ts'

/** One thing that would leave with a change: title, body, branch, commit message, a path, a blob (at most 8 MiB). */
export interface Channel {
  /** Ours, such as `blob 3`. Never the agent's text, such as a path: that may be where the secret is. */
  readonly name: string
  readonly text: Uint8Array | string
  /** What the base has at the same path. Lines that are in it are not looked at. */
  readonly known?: Uint8Array | string
}

/** Says what kind of secret is where, and nothing of the secret. */
export interface SecretFinding {
  readonly code: SecretCode
  readonly channel: string
  /** In bytes from the start of the channel; for what is encoded or split, near the place. */
  readonly offset: number
}

/** Most findings of one scan. One is enough to refuse. */
const MAX_SECRET_FINDINGS = 20

/**
 * Looks for `canaries`, the exact values that must never leave, and for tokens of known kinds, in every channel and
 * in what is packed or encoded in it. A net, not a wall: whoever may choose an encoding gets past any scan, so the
 * agent is given nothing worth the trouble. Time grows with the bytes only: 0.2 to 0.4 s for a blob of 8 MiB.
 */
export function scan(channels: readonly Channel[], canaries: readonly string[]): SecretFinding[] {
  const findCanary = canarySearch(canaries)
  const findings: SecretFinding[] = []
  for (const channel of channels) {
    const codes = new Set<SecretCode>()
    for (const { code, offset } of hitsIn(newText(channel), findCanary)) {
      if (codes.has(code)) continue
      codes.add(code)
      findings.push({ code, channel: channel.name, offset })
      if (findings.length === MAX_SECRET_FINDINGS) return findings
    }
  }
  return findings
}

function* hitsIn(bytes: Buffer, findCanary: (bytes: Uint8Array) => number | undefined): Generator<Hit> {
  const canary = findCanary(bytes)
  if (canary !== undefined) yield { code: 'canary', offset: canary }
  const text = bytes.toString('latin1')
  yield* findTokens(text)
  for (const { code, offset } of findTokens(reversed(bytes))) yield { code, offset: bytes.length - 1 - offset }
  // UTF-16, read as one byte per character.
  if (text.includes('\0'))
    for (const { code } of findTokens(text.replaceAll('\0', ''))) yield { code, offset: text.indexOf('\0') }
  const { layers, complete } = unpack(bytes)
  for (const layer of layers) {
    if (findCanary(layer.bytes) !== undefined) yield { code: 'canary', offset: layer.offset }
    for (const { code } of findTokens(layer.bytes.toString('latin1'))) yield { code, offset: layer.offset }
  }
  if (!complete) yield { code: 'unscannable', offset: 0 }
}

function reversed(bytes: Buffer): string {
  return Buffer.from(bytes).reverse().toString('latin1')
}

/** The channel's bytes, with the lines that the base has blanked, so that offsets stay what they are. */
function newText({ text, known }: Channel): Buffer {
  if (known === undefined) return asBuffer(text)
  const old = new Set(asBuffer(known).toString('latin1').split('\n'))
  const lines = asBuffer(text).toString('latin1').split('\n')
  return Buffer.from(lines.map((line) => (old.has(line) ? ' '.repeat(line.length) : line)).join('\n'), 'latin1')
}

function asBuffer(text: Uint8Array | string): Buffer {
  return typeof text === 'string' ? Buffer.from(text) : Buffer.from(text.buffer, text.byteOffset, text.byteLength)
}
