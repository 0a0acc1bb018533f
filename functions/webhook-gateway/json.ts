/** A JSON object that somebody else wrote. */
export type JsonObject = Readonly<Record<string, unknown>>

/** Whether the value is a JSON object. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The value at a dotted path, of own properties only: `__proto__` and `constructor` in a body are names like others. */
export function at(value: unknown, path: string | readonly string[]): unknown {
  let inner = value
  for (const name of typeof path === 'string' ? path.split('.') : path) {
    if (!isObject(inner) || !Object.hasOwn(inner, name)) return undefined
    inner = inner[name]
  }
  return inner
}

/** A text or a number at a path, as text; empty text is no text. */
export function textAt(value: unknown, path: string): string | undefined {
  const found = at(value, path)
  if (typeof found === 'number') return String(found)
  return typeof found === 'string' && found !== '' ? found : undefined
}

/** A forge's numeric id at a path, as text: a name may pass to somebody else, a number does not. */
export function idAt(value: unknown, path: string): string | undefined {
  const found = at(value, path)
  return typeof found === 'number' ? String(found) : undefined
}
