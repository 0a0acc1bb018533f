import { Buffer } from 'node:buffer'
import { constants, inflateRawSync } from 'node:zlib'

/** Most bytes that one channel is unpacked to, all layers together: enough for 8 MiB that are encoded three times. */
const MAX_UNPACKED_BYTES = 16 * 1024 * 1024
/** Layers of encoding in encoding that are taken off. */
const MAX_LAYERS = 3
/** Most places in one layer that look compressed. */
const MAX_COMPRESSED = 64
/** Most characters of base64 that one compressed piece is taken to have. */
const MAX_PIECE = 128 * 1024
/** Shorter runs of base64 hold no token of the kinds that are known. */
const MIN_RUN = 24

/** Bytes that were inside a channel, and where in the channel they began. */
export interface Layer {
  readonly bytes: Buffer
  readonly offset: number
}

/** What is inside base64, hexadecimal, gzip and zlib, also of each other. Not `complete` where that is more than the limits. */
export function unpack(bytes: Buffer): { readonly layers: readonly Layer[]; readonly complete: boolean } {
  const layers: Layer[] = []
  let budget = MAX_UNPACKED_BYTES
  let outer: readonly Layer[] = [{ bytes, offset: 0 }]
  try {
    for (let depth = 0; depth < MAX_LAYERS; depth++) {
      const inner: Layer[] = []
      const add = (content: Buffer, offset: number): void => {
        if (content.length > budget) throw new TooMuch()
        budget -= content.length
        if (content.length > 0) inner.push({ bytes: content, offset })
      }
      for (const layer of outer) {
        const at = (offset: number): number => (depth === 0 ? offset : layer.offset)
        for (const run of decodedRuns(layer.bytes)) add(run.bytes, at(run.offset))
        for (const piece of compressed(layer.bytes)) add(inflated(piece, budget), at(piece.offset))
      }
      layers.push(...inner)
      outer = inner
    }
  } catch (error) {
    if (!(error instanceof TooMuch)) throw error
    return { layers, complete: false }
  }
  return { layers, complete: true }
}

class TooMuch extends Error {}

const BASE64 = 1
const BLANK = 2
const classes = new Uint8Array(256)
for (const character of Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_'))
  classes[character] = BASE64
for (const character of Buffer.from(' \t\r\n')) classes[character] = BLANK
const newline = Buffer.from('\n')

/** Runs of base64, also over several lines, and of hexadecimal. All in one layer: most files have many short ones. */
function decodedRuns(bytes: Buffer): Layer[] {
  const parts: Buffer[] = []
  let first = -1
  let start = 0
  let length = 0
  for (let index = 0; index <= bytes.length; index++) {
    const kind = index < bytes.length ? classes[bytes[index] ?? 0] : 0
    if (kind === BASE64) {
      if (length++ === 0) start = index
    } else if (kind !== BLANK || length < MIN_RUN) {
      if (length >= MIN_RUN) {
        const run = bytes.toString('latin1', start, index)
        parts.push(Buffer.from(run, 'base64'), newline)
        if (/^[0-9a-fA-F\s]+$/.test(run)) parts.push(Buffer.from(run.replace(/\s/g, ''), 'hex'), newline)
        if (first < 0) first = start
      }
      length = 0
    }
  }
  return parts.length === 0 ? [] : [{ bytes: Buffer.concat(parts), offset: first }]
}

const gzipMagic = Buffer.from([0x1f, 0x8b, 0x08])
const gzipMagicInBase64 = 'H4sI'
/** zlib at its usual levels, but for the one whose mark is the text `x^`. */
const zlibMagics = [0x01, 0x9c, 0xda].map((level) => Buffer.from([0x78, level]))
const afterBase64 = /[^\w+/=\s"'`\\-]/

/** Raw deflate data. Base64 is looked at again here, because source code may hold it in quoted pieces. */
function* compressed(bytes: Buffer): Generator<Layer> {
  for (const offset of positions(bytes, gzipMagic)) yield { bytes: withoutGzipHeader(bytes.subarray(offset)), offset }
  for (const magic of zlibMagics) {
    // Only where a text or a decoded run starts: two bytes are found by chance elsewhere.
    if (bytes.subarray(0, 2).equals(magic)) yield { bytes: bytes.subarray(2), offset: 0 }
    for (const offset of positions(bytes, Buffer.concat([newline, magic])))
      yield { bytes: bytes.subarray(offset + 3), offset }
  }
  for (const offset of positions(bytes, gzipMagicInBase64)) {
    const text = bytes.toString('latin1', offset, offset + MAX_PIECE)
    const end = text.search(afterBase64)
    const packed = (end < 0 ? text : text.slice(0, end)).replace(/["'`]\s{0,80}(?:\+\s{0,80})?["'`]/g, '')
    yield { bytes: withoutGzipHeader(Buffer.from(packed, 'base64')), offset }
  }
}

/** RFC 1952. Node's own gunzip refuses a stream with text behind it or a wrong checksum; what it holds can be read all the same. */
function withoutGzipHeader(bytes: Buffer): Buffer {
  const flags = bytes[3] ?? 0
  let end = 10
  if (flags & 4) end += 2 + (bytes[end] ?? 0) + 256 * (bytes[end + 1] ?? 0)
  for (const text of [8, 16]) if (flags & text) end = bytes.indexOf(0, end) + 1
  return bytes.subarray(flags & 2 ? end + 2 : end)
}

function* positions(bytes: Buffer, magic: Buffer | string): Generator<number> {
  let count = 0
  for (let offset = bytes.indexOf(magic); offset >= 0; offset = bytes.indexOf(magic, offset + 1)) {
    if (++count > MAX_COMPRESSED) throw new TooMuch()
    yield offset
  }
}

/** All that can be read of a piece, also when it was cut; nothing of what only looks compressed. */
function inflated({ bytes }: Layer, budget: number): Buffer {
  try {
    return inflateRawSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: Math.max(budget, 1) })
  } catch (error) {
    if (error instanceof RangeError) throw new TooMuch('too much', { cause: error })
    return Buffer.alloc(0)
  }
}
