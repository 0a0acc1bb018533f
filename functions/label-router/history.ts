import * as v from 'valibot'
import type { Db } from '#shared/db/connect.ts'
import type { Row } from '#shared/db/schema.ts'
import { ChangeMessage, ResultManifest } from '#shared/job/result.ts'
import type { History, Target } from './handler.ts'

/** Changes that have a pull request, newest first, with the subject each is for. */
export async function targets(
  db: Db,
  projectId: string,
  by: { readonly pullNumber?: number; readonly subjectId?: string },
  most: number,
): Promise<readonly Target[]> {
  const changes = db
    .selectFrom('changes')
    .selectAll()
    .where('project_id', '=', projectId)
    .where('pull_number', 'is not', null)
    .orderBy('created_at', 'desc')
    .limit(most)
  const found = await (
    by.pullNumber === undefined
      ? changes.where('subject_id', '=', by.subjectId ?? '')
      : changes.where('pull_number', '=', by.pullNumber)
  ).execute()
  const subjects = found.map(async (change) => ({
    change,
    subject: await db
      .selectFrom('subjects')
      .select(['id', 'number', 'kind'])
      .where('project_id', '=', projectId)
      .where('id', '=', change.subject_id)
      .executeTakeFirstOrThrow(),
  }))
  return Promise.all(subjects)
}

/** What earlier runs left for one that goes on with their change. */
export async function history(db: Db, change: Row<'changes'>): Promise<History> {
  const newest = db.selectFrom('runs').orderBy('runs.created_at', 'desc').orderBy('runs.id').limit(1)
  const [ofChange, ofIssue, succeeded] = await Promise.all([
    newest.select('stage').where('change_id', '=', change.id).executeTakeFirst(),
    newest
      .select('stage')
      .where('project_id', '=', change.project_id)
      .where('subject_id', '=', change.subject_id)
      .where('state', '!=', 'refused')
      .executeTakeFirst(),
    newest
      .innerJoin('bundles', 'bundles.digest', 'runs.bundle_digest')
      .select(['runs.id', 'bundles.manifest'])
      .where('change_id', '=', change.id)
      .where('state', '=', 'succeeded')
      .executeTakeFirst(),
  ])
  const result = succeeded && (await resultOf(db, succeeded.id))
  const message = v.safeParse(ChangeMessage, result?.message)
  return {
    changeStage: ofChange?.stage,
    issueStage: ofIssue?.stage,
    session: result?.session ?? null,
    previous: message.success ? wellFormed(message.output) : null,
    model: succeeded?.manifest.model,
    effort: succeeded?.manifest.effort,
  }
}

/** What the newest attempt of a run handed in. */
async function resultOf(db: Db, runId: string) {
  const row = await db
    .selectFrom('attempts')
    .innerJoin('blobs', 'blobs.digest', 'attempts.result_digest')
    .select('blobs.bytes')
    .where('run_id', '=', runId)
    .orderBy('fence', 'desc')
    .limit(1)
    .executeTakeFirst()
  const result = row && v.parse(ResultManifest, JSON.parse(row.bytes.toString('utf8')))
  return result?.outcome === 'succeeded' ? result : undefined
}

/** Half a surrogate pair has no canonical form. */
function wellFormed({ title, summary, tests }: v.InferOutput<typeof ChangeMessage>) {
  return { title: title.toWellFormed(), summary: summary.toWellFormed(), tests: tests.toWellFormed() }
}
