import { isUtf8 } from 'node:buffer'
import { isObject, type JsonObject } from './json.ts'

/** Why an authentic body is not used. */
export type BodyFault =
  | 'not_utf8'
  | 'not_json'
  | 'not_an_object'
  | 'too_deep'
  | 'too_many_values'
  | 'too_many_keys'
  | 'too_many_labels'
  | 'duplicate_key'
  | 'unsafe_id'
  | 'unstorable_text'

/** Far above what forges send (depth 7, GitHub's 100 labels), far below what hurts. */
export const LIMITS = { depth: 64, values: 250_000, keysPerObject: 10_000, labels: 1_000 } as const

/** An object or array that is still open, with where its last key stands; an array carries the one it stands under. */
interface Frame {
  readonly isArray: boolean
  keys: number
  expectsKey: boolean
  keyStart: number
  keyEnd: number
  commas: number
}

const number = /[-+.0-9eE]+/y
const integer = /^-?(?:0|[1-9][0-9]*)$/
const idKey = /^(?:id|number|.*_id)$/s

/**
 * The object in these bytes, or what is wrong with them. The text is looked through once before it is parsed:
 * `JSON.parse` takes any depth, and its result shows neither that a key came twice nor what a long id was.
 */
export async function readJson(bytes: Buffer): Promise<JsonObject | BodyFault> {
  if (!isUtf8(bytes)) return 'not_utf8'
  // A byte order mark is kept, so that it is refused as JSON refuses it.
  const text = bytes.toString('utf8')
  await breathe(bytes)
  const keys = inspect(text, bytes.includes('\\u'))
  if (typeof keys === 'string') return keys
  await breathe(bytes)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return 'not_json'
  }
  if (!isObject(value)) return 'not_an_object'
  // A key that comes twice is there once after parsing: cheaper than to remember the keys of every object.
  return countKeys(value) === keys ? value : 'duplicate_key'
}

/** Between the steps of a large body others get their turn: each step over 25 MiB takes some 50 ms. */
async function breathe(bytes: Uint8Array): Promise<void> {
  if (bytes.length > 1024 * 1024) await new Promise((resolve) => setImmediate(resolve))
}

/**
 * Counts without building anything; returns the number of keys, or the fault. Exact up to the first error of syntax;
 * behind one it does not matter, because the parser stops there.
 */
function inspect(text: string, hasEscapes: boolean): BodyFault | number {
  const stack: Frame[] = []
  let top: Frame | undefined
  let values = 0
  let keys = 0
  for (let i = 0; i < text.length; i += 1) {
    const character = text.charCodeAt(i)
    if (character === 0x22) {
      const end = closingQuote(text, i)
      if (end === -1) return 'not_json'
      if (hasEscapes && !isStorable(text.slice(i, end + 1))) return 'unstorable_text'
      if (top?.expectsKey === true) {
        keys += 1
        top.keys += 1
        if (top.keys > LIMITS.keysPerObject) return 'too_many_keys'
        top.keyStart = i
        top.keyEnd = end + 1
        top.expectsKey = false
      } else values += 1
      i = end
    } else if (character === 0x7b || character === 0x5b) {
      const isArray = character === 0x5b
      if (stack.length === LIMITS.depth) return 'too_deep'
      values += 1
      const { keyStart, keyEnd }: Pick<Frame, 'keyStart' | 'keyEnd'> = top ?? { keyStart: 0, keyEnd: 0 }
      top = { isArray, keys: 0, expectsKey: !isArray, keyStart, keyEnd, commas: 0 }
      stack.push(top)
    } else if (character === 0x7d || character === 0x5d) {
      stack.pop()
      top = stack.at(-1)
    } else if (character === 0x2c && top !== undefined) {
      top.expectsKey = !top.isArray
      top.commas += 1
      if (top.isArray && top.commas >= LIMITS.labels && keyOf(text, top) === 'labels') return 'too_many_labels'
    } else if (character === 0x2d || (character >= 0x30 && character <= 0x39)) {
      values += 1
      number.lastIndex = i
      number.test(text)
      const end = number.lastIndex
      if (idKey.test(keyOf(text, top)) && !isSafe(text.slice(i, end))) return 'unsafe_id'
      i = end - 1
    } else if (character === 0x74 || character === 0x66 || character === 0x6e) {
      values += 1
      i += character === 0x66 ? 4 : 3
    }
    if (values > LIMITS.values) return 'too_many_values'
  }
  return keys
}

const isSafe = (literal: string) => integer.test(literal) && Number.isSafeInteger(Number(literal))

/** The last key of an open object, or the one an array stands under. */
function keyOf(text: string, frame: Frame | undefined): string {
  const raw = text.slice(frame?.keyStart ?? 0, frame?.keyEnd ?? 0)
  return raw.includes('\\') ? (unescaped(raw) ?? '') : raw.slice(1, -1)
}

/** The keys of all objects in a value that `inspect` has let through, so not deep. */
function countKeys(value: object): number {
  let count = 0
  const inner: readonly unknown[] = Array.isArray(value) ? value : Object.values(value)
  if (!Array.isArray(value)) count += inner.length
  for (const each of inner) if (typeof each === 'object' && each !== null) count += countKeys(each)
  return count
}

/** Index of the quote that ends the string opened at `start`, or -1. */
function closingQuote(text: string, start: number): number {
  // The engine finds a quote far faster than a loop over the characters; it is escaped by an odd number of backslashes.
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let first = end
    while (text.charCodeAt(first - 1) === 0x5c) first -= 1
    if ((end - first) % 2 === 0) return end
  }
  return -1
}

/** The string that a JSON literal stands for; undefined when it is none. */
function unescaped(raw: string): string | undefined {
  try {
    return JSON.parse(raw) as string
  } catch {
    return undefined
  }
}

/** PostgreSQL keeps neither NUL nor half of a surrogate pair, not in text, not in jsonb. */
function isStorable(raw: string): boolean {
  if (!raw.includes('\\u')) return true
  const value = unescaped(raw)
  return value === undefined || (value.isWellFormed() && !value.includes('\0'))
}
