import type { Row } from '#shared/db/schema.ts'
import type { Tx } from '#shared/db/transaction.ts'
import { RetryLater } from '#shared/errors.ts'
import type { Look } from './handler.ts'

/** Takes the lock of an issue or pull request, writing its row first if it is new. Held until the transaction ends. */
export async function lockSubject(tx: Tx, { project, subject }: Look): Promise<Row<'subjects'>> {
  return tx
    .insertInto('subjects')
    .values({ project_id: project.id, ...subject })
    .onConflict((conflict) => conflict.columns(['project_id', 'id']).doUpdateSet({ number: subject.number }))
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** Under the lock: what the forge showed still holds as far as we have heard, and whoever looked before us looks again. */
export async function countChange(tx: Tx, { project, subject, version }: Look): Promise<Row<'subjects'>> {
  const counted = await tx
    .updateTable('subjects')
    .set({ version: version + 1 })
    .where('project_id', '=', project.id)
    .where('id', '=', subject.id)
    .where('version', '=', version)
    .returningAll()
    .executeTakeFirst()
  if (counted === undefined) throw new RetryLater('the subject moved on while the forge was asked', { seconds: 0 })
  return counted
}
