/** Deeper than any result; what follows walks by recursion. */
const MAX_DEPTH = 64

/**
 * Whether PostgreSQL and the canonical form can hold a JSON value: no NUL, no half of a surrogate pair, no number beyond a
 * double, not too deep. What cannot be stored has to be refused for good, or its sender repeats it until its deadline.
 */
export function isStorable(value: unknown): boolean {
  const open: [value: unknown, depth: number][] = [[value, 0]]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [one, depth] = next
    if (depth > MAX_DEPTH || !isStorableScalar(one)) return false
    if (typeof one !== 'object' || one === null) continue
    for (const [key, inner] of Object.entries(one)) {
      if (!isStorableScalar(key)) return false
      open.push([inner, depth + 1])
    }
  }
  return true
}

function isStorableScalar(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed() && !value.includes('\0')
  return typeof value !== 'number' || Number.isFinite(value)
}
