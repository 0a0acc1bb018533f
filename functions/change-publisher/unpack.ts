import { Buffer } from 'node:buffer'
import { gunzipSync, inflateSync, constants } from 'node:zlib'

/** Most bytes that one channel is unpacked to, all layers together. What lies beyond is not looked at. */
const MAX_UNPACKED_BYTES = 16 * 1024 * 1024
/** Layers of encoding in encoding that are taken off. */
const MAX_LAYERS = 3
/** Most compressed pieces in one layer that are opened, and the most bytes of base64 that one of them is taken to have. */
const MAX_COMPRESSED_PIECES = 64
const MAX_PIECE_BYTES = 1024 * 1024
/** Shorter runs of base64 hold no token of the kinds that are known. */
const MIN_RUN = 24

/** Text that was inside a channel, and where in the channel it began. */
export interface Layer {
  readonly bytes: Buffer
  readonly offset: number
}

/** What is inside base64, hexadecimal, gzip and zlib, layer by layer, within the limits above. */
export function* unpack(bytes: Buffer): Generator<Layer> {
  let budget = MAX_UNPACKED_BYTES
  let layers: readonly Layer[] = [{ bytes, offset: 0 }]
  for (let depth = 0; depth < MAX_LAYERS; depth++) {
    const inner: Layer[] = []
    for (const layer of layers) {
      for (const found of [...decodedRuns(layer.bytes), ...decompressed(layer.bytes)]) {
        if (found.bytes.length > budget) return
        budget -= found.bytes.length
        const next = { bytes: found.bytes, offset: depth === 0 ? found.offset : layer.offset }
        yield next
        inner.push(next)
      }
    }
    layers = inner
  }
}

const BASE64 = 1
const BLANK = 2
const classes = new Uint8Array(256)
for (const character of Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_')) classes[character] = BASE64
for (const character of Buffer.from(' \t\r\n')) classes[character] = BLANK

/** Runs of base64, also over several lines, and of hexadecimal. Neighbours are put in one layer: most files have many short ones. */
function decodedRuns(bytes: Buffer): Layer[] {
  const parts: Buffer[] = []
  let first = -1
  let start = 0
  let length = 0
  for (let index = 0; index <= bytes.length; index++) {
    const kind = classes[bytes[index] ?? 0]
    if (kind === BASE64) {
      if (length++ === 0) start = index
    } else if (kind !== BLANK || length < MIN_RUN || index === bytes.length) {
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

const newline = Buffer.from('\n')
const gzipMagic = Buffer.from([0x1f, 0x8b, 0x08])
const gzipMagicInBase64 = 'H4sI'
/** zlib at its usual levels, after a line start or the edge of a decoded run. */
const zlibMagic = [0x01, 0x5e, 0x9c, 0xda].map((level) => Buffer.from([0x78, level]))

function decompressed(bytes: Buffer): Layer[] {
  const layers: Layer[] = []
  const open = (offset: number, packed: Buffer, inflate: typeof gunzipSync): void => {
    const content = inflated(packed, inflate)
    if (content !== undefined && content.length > 0) layers.push({ bytes: content, offset })
  }
  for (const offset of positions(bytes, gzipMagic)) open(offset, bytes.subarray(offset), gunzipSync)
  for (const magic of zlibMagic) {
    for (const offset of positions(bytes, magic)) {
      if (offset === 0 || bytes[offset - 1] === 0x0a) open(offset, bytes.subarray(offset), inflateSync)
    }
  }
  for (const offset of positions(bytes, gzipMagicInBase64)) {
    const text = bytes.toString('latin1', offset, offset + MAX_PIECE_BYTES)
    // Lines of a string that source code puts together; the decoder itself passes over blanks.
    open(offset, Buffer.from(text.replace(/["'`]\s{0,80}\+?\s{0,80}["'`]/g, ''), 'base64'), gunzipSync)
  }
  return layers
}

function* positions(bytes: Buffer, magic: Buffer | string): Generator<number> {
  let offset = bytes.indexOf(magic, 0, 'latin1')
  for (let count = 0; offset >= 0 && count < MAX_COMPRESSED_PIECES; count++) {
    yield offset
    offset = bytes.indexOf(magic, offset + 1, 'latin1')
  }
}

/** What can be read of it; undefined for what only looks compressed, or would be too large. */
function inflated(packed: Buffer, inflate: typeof gunzipSync): Buffer | undefined {
  try {
    return inflate(packed, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: MAX_UNPACKED_BYTES })
  } catch {
    return undefined
  }
}
