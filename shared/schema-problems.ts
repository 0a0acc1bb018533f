import type * as v from 'valibot'

/**
 * What is wrong with a value that somebody else wrote, for a log, an answer or a comment: where, and what was expected.
 * Never what stands there: valibot's own messages repeat it.
 */
export function schemaProblems(issues: readonly v.BaseIssue<unknown>[]): string {
  const lines = issues.slice(0, 5).map(({ path = [], expected, type, kind }) => {
    const keys = path.map(({ key }) => shown(key))
    // The sender's own word.
    const unknownKey = expected === 'never' ? keys.pop() : undefined
    const where = keys.join('.') || 'the value'
    if (unknownKey !== undefined) return `${where}: has a key that is not known`
    return `${where}: ${kind === 'schema' && expected !== null ? `expected ${expected}` : `is against the rule ${type}`}`
  })
  const more = issues.length - lines.length
  return [...lines, ...(more > 0 ? [`and ${more} more`] : [])].join('; ').slice(0, 400)
}

/** Keys of a record are the sender's words; those of a schema are short and plain. */
function shown(key: unknown): string {
  return typeof key === 'number' || (typeof key === 'string' && /^[a-zA-Z_]{1,30}$/.test(key)) ? String(key) : '?'
}
