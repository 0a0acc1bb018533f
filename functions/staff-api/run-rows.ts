import { sql } from 'kysely'
import type { Db } from '#shared/db/connect.ts'
import { retryOf } from '#shared/run/retry.ts'
import { reasonOf } from '#shared/workflow/reasons.ts'
import { iso, isoOrNull } from './page.ts'

/** Runs with what people know them by. */
export function selectRuns(db: Db) {
  return db
    .selectFrom('runs')
    .innerJoin('projects', 'projects.id', 'runs.project_id')
    .leftJoin('changes', 'changes.id', 'runs.change_id')
    .selectAll('runs')
    .select(['projects.full_name', 'changes.branch', 'changes.base_commit', 'changes.pull_number', 'changes.pull_url'])
}

type Found = Awaited<ReturnType<ReturnType<typeof selectRuns>['executeTakeFirstOrThrow']>>

/** A run as the contract shows it. */
export function runOf(row: Found) {
  const { change_id, branch, base_commit, pull_number, pull_url, reason } = row
  return {
    id: row.id,
    project: row.project_id,
    repository: row.full_name,
    number: row.subject_number,
    stage: row.stage,
    label: row.label,
    state: row.state,
    reason: reason === null ? null : { code: reason, says: reasonOf(reason).says, next: reasonOf(reason).next },
    detail: row.detail,
    requester: { id: row.requester_id, login: row.requester_login },
    requestedAt: iso(row.requested_at),
    createdAt: iso(row.created_at),
    updatedAt: iso(row.updated_at),
    change:
      change_id === null || branch === null || base_commit === null
        ? null
        : {
            id: change_id,
            branch,
            base: base_commit,
            pull: pull_number === null ? null : { number: pull_number, url: pull_url },
          },
    retryOf: retryOf(row.label_event_id) ?? null,
  }
}

/** One run as the contract shows it. */
export async function readRun(db: Db, id: string) {
  return runOf(await selectRuns(db).where('runs.id', '=', id).executeTakeFirstOrThrow())
}

/** Attempts of a run, oldest first, each with its Job's name. */
export async function readAttempts(db: Db, run: string) {
  const rows = await db
    .selectFrom('attempts')
    .leftJoin('intents', (join) =>
      join
        .onRef('intents.run_id', '=', 'attempts.run_id')
        .onRef('intents.attempt', '=', 'attempts.attempt')
        .on('intents.kind', '=', 'job'),
    )
    .selectAll('attempts')
    .select('intents.name as job')
    .where('attempts.run_id', '=', run)
    .orderBy('attempts.attempt')
    .execute()
  return rows.map((row) => ({
    attempt: row.attempt,
    state: row.state,
    reason: row.reason,
    createdAt: iso(row.created_at),
    deadlineAt: iso(row.deadline_at),
    lastSeenAt: isoOrNull(row.last_seen_at),
    finishedAt: isoOrNull(row.finished_at),
    job: row.job,
  }))
}

/** The approval of a run with every decision about it; null where none was asked for. */
export async function readApproval(db: Db, run: string) {
  const approval = await db.selectFrom('approvals').selectAll().where('run_id', '=', run).executeTakeFirst()
  if (approval === undefined) return null
  const decisions = await db
    .selectFrom('decisions')
    .selectAll()
    .where('approval_id', '=', approval.id)
    .orderBy('decided_at')
    .execute()
  return {
    state: approval.state,
    digest: approval.bundle_digest,
    quorum: approval.policy.quorum,
    requestedAt: iso(approval.requested_at),
    expiresAt: iso(approval.expires_at),
    decidedAt: isoOrNull(approval.decided_at),
    consumedAt: isoOrNull(approval.consumed_at),
    decisions: decisions.map(({ actor_id: id, actor_login: login, decision, reason, source, refusal, decided_at }) => ({
      actor: { id, login },
      decision,
      reason,
      source,
      refusal,
      decidedAt: iso(decided_at),
    })),
  }
}

/** What a run is connected with, by itself and through its change. */
export async function readLinks(db: Db, run: string, change: string | null) {
  const rows = await db
    .selectFrom('links')
    .selectAll()
    .where((where) =>
      where.or([
        where.and([where('to_kind', '=', 'run'), where('to_id', '=', run)]),
        where.and([where('from_kind', '=', 'run'), where('from_id', '=', run)]),
        where.and([where('from_kind', '=', 'change'), where('from_id', '=', change ?? '')]),
      ]),
    )
    .orderBy('created_at')
    .limit(100)
    .execute()
  return rows.map((row) => ({
    fromKind: row.from_kind,
    fromId: row.from_id,
    relation: row.relation,
    toKind: row.to_kind,
    toId: row.to_id,
  }))
}

/** Tokens that were charged to a run, and its budget. */
export async function readTokens(db: Db, run: string, digest: string | null) {
  const { charged } = await db
    .selectFrom('model_calls')
    .select(sql<number>`coalesce(sum(charged_tokens), 0)::bigint`.as('charged'))
    .where('run_id', '=', run)
    .executeTakeFirstOrThrow()
  const bundle =
    digest === null
      ? undefined
      : await db.selectFrom('bundles').select('manifest').where('digest', '=', digest).executeTakeFirst()
  return { charged, budget: bundle?.manifest.budget.tokens ?? null }
}
