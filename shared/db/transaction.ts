import type { Transaction } from 'kysely'
import type { Db } from '#shared/db/connect.ts'
import type { Database } from '#shared/db/schema.ts'
import { RetryLater } from '#shared/errors.ts'

/** An open transaction. */
export type Tx = Transaction<Database>

/** Serialization failure, deadlock: the database rolled back and asks us to try again. */
const again = new Set(['40001', '40P01'])

/** Runs the work in one transaction, and again when the database refuses it; see `unrefused`. */
export function transaction<T>(db: Db, work: (tx: Tx) => Promise<T>): Promise<T> {
  return unrefused(() => db.transaction().execute(work))
}

/** Does what the database takes whole or not at all; a deadlock or serialization failure is repeated with jitter, five times at most. */
export async function unrefused<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work()
    } catch (error) {
      if (!again.has((error as { code?: string }).code ?? '')) throw error
      if (attempt === 5) throw new RetryLater('the database keeps refusing concurrent changes', { cause: error })
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 20 * 2 ** attempt))
    }
  }
}
