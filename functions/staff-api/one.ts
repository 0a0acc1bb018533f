import type { sql } from 'kysely'
import type { Db } from '#shared/db/connect.ts'

/** The one row of a statement that has one. */
export async function one<T>(db: Db, statement: ReturnType<typeof sql<T>>): Promise<T> {
  return (await statement.execute(db)).rows[0] as T
}
