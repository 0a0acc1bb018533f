/** PostgreSQL's classes for what is about the server and not about the statement: connections, resources, shutdown. */
const classes = /^(08|53|57P|58)/

/** What Node says of a connection that cannot be made or breaks. */
const codes = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENOTFOUND', 'EAI_AGAIN'])

/** What pg and its pool say in words only. */
const words =
  /^(Connection terminated|timeout exceeded when trying to connect|Query read timeout|Client has encountered a connection error)/

/** Whether the database was away, or too busy, when this was thrown: the same work may succeed later. */
export function isOutage(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const { code = '' } = error as { code?: string }
  return classes.test(code) || codes.has(code) || words.test(error.message) || isOutage(error.cause)
}
