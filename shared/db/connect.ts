import { Kysely, PostgresDialect, sql } from 'kysely'
import { createHash } from 'node:crypto'
import { Socket } from 'node:net'
import pg from 'pg'
import type { Database } from '#shared/db/schema.ts'

// bigint columns (seq, fence, token counts) stay far below 2^53; as numbers they compare and add as one expects.
pg.types.setTypeParser(pg.types.builtins.INT8, (text) => {
  const value = Number(text)
  if (!Number.isSafeInteger(value)) throw new RangeError(`bigint ${text} is not a safe integer`)
  return value
})

/** The database as functions see it. */
export type Db = Kysely<Database>

/** Connection limits of one function: every wait has an end, so a half-open connection cannot hold a request for ever. */
export interface ConnectOptions {
  /** Name in pg_stat_activity; the function. */
  readonly name: string
  /** Connections at most; default 5. */
  readonly max?: number
}

/** A server that lives answers a statement within its timeout of 10 s, with an error if with nothing else. */
const SILENCE_MS = 11_000

/**
 * A socket that is given up when nothing was heard over it for that long. The driver by itself would return a connection
 * whose answer never came to the pool, and the next query would wait behind it for its own time.
 */
function mortalSocket(): Socket {
  const socket = new Socket()
  const end = () => socket.destroy(Object.assign(new Error('the database fell silent'), { code: 'ETIMEDOUT' }))
  return socket.setTimeout(SILENCE_MS, end)
}

const PREPARED = '/* prepared */'
/** Characters at the beginning of a statement among which it is looked for. */
const LEAD = 32

/**
 * Stands at the beginning of a statement that a connection parses and plans once, then only runs: for what is done with
 * every event, always in the same words, and whose best plan depends neither on its values nor on how large a table is.
 */
export const prepared = sql.raw(PREPARED)

const names = new Map<string, string>()

function nameOf(text: string): string {
  const name = names.get(text) ?? createHash('sha256').update(text).digest('hex').slice(0, 32)
  names.set(text, name)
  return name
}

/** The driver prepares what has a name; the query builder gives none. */
function preparing(query: pg.ClientBase['query']): pg.ClientBase['query'] {
  const run = query as (...given: readonly unknown[]) => unknown
  return ((text: unknown, values: unknown, ...rest: readonly unknown[]) =>
    typeof text === 'string' && text.slice(0, LEAD).includes(PREPARED)
      ? run({ name: nameOf(text), text, values }, ...rest)
      : run(text, values, ...rest)) as pg.ClientBase['query']
}

/** A pool of connections. Opens none until the first query. */
export function connect(url: string, { name, max = 5 }: ConnectOptions): Db {
  const pool = new pg.Pool({
    connectionString: url,
    application_name: name,
    max,
    connectionTimeoutMillis: 2_000,
    idleTimeoutMillis: 10_000,
    statement_timeout: 10_000,
    query_timeout: 12_000,
    idle_in_transaction_session_timeout: 20_000,
    keepAlive: true,
    stream: mortalSocket,
  })
  // A connection that breaks is replaced by the pool, and whoever was using it gets the error from the query. Without a
  // listener it would end the process: the pool listens while a connection is idle, nobody while it is in use.
  pool.on('error', () => {})
  pool.on('connect', (client) => {
    client.on('error', () => {})
    client.query = preparing(client.query.bind(client))
  })
  return new Kysely<Database>({ dialect: new PostgresDialect({ pool }) })
}
