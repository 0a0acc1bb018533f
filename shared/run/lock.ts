import type { Row } from '#shared/db/schema.ts'
import type { Tx } from '#shared/db/transaction.ts'

/** Takes the lock of an issue or pull request, writing its row first if it is new. Held until the transaction ends. */
export async function lockSubject(tx: Tx, projectId: string, subject: Omit<Row<'subjects'>, 'project_id'>): Promise<Row<'subjects'>> {
  return tx
    .insertInto('subjects')
    .values({ project_id: projectId, ...subject })
    .onConflict((conflict) => conflict.columns(['project_id', 'id']).doUpdateSet({ number: subject.number }))
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** A run under the lock of its subject, as it is now: what a transition is decided on. */
export async function lockRun(tx: Tx, runId: string): Promise<Row<'runs'>> {
  await tx
    .selectFrom('subjects')
    .innerJoin('runs', (join) => join.onRef('runs.project_id', '=', 'subjects.project_id').onRef('runs.subject_id', '=', 'subjects.id'))
    .select('subjects.id')
    .where('runs.id', '=', runId)
    .forUpdate('subjects')
    .executeTakeFirstOrThrow()
  return tx.selectFrom('runs').selectAll().where('id', '=', runId).executeTakeFirstOrThrow()
}
