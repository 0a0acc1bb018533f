import { sql } from 'kysely'
import type { Db } from '#shared/db/connect.ts'
import { ranOut } from '#shared/run/approval.ts'

/** The functions that own something overdue: pending deliveries, attempts, reservations, comments. Asks, changes nothing. */
export async function ownersDue(db: Db, graceSeconds: number): Promise<string[]> {
  const late = sql<Date>`now() - make_interval(secs => ${graceSeconds})`
  const rows = await sql<{ owner: string }>`
    select distinct consumer as owner from deliveries where state = 'pending' and due_at <= ${late}
    union select 'stage-dispatcher' where exists (
      select from attempts where state in ('intended', 'created') and (created_at <= ${late} or deadline_at <= now()))
    union select 'stage-dispatcher' where exists (select from runs where state = 'queued' and updated_at <= ${late})
    union select 'stage-dispatcher' where exists (
      select from intents join runs on runs.id = intents.run_id
      join attempts on attempts.run_id = intents.run_id and attempts.attempt = intents.attempt
      where intents.kind = 'job' and intents.state <> 'gone' and runs.updated_at <= ${late}
        and (runs.state in ('cancelled', 'failed') or attempts.state not in ('intended', 'created')))
    union select 'approval-gate' where exists (
      select from approvals join runs on runs.id = approvals.run_id
      where approvals.state in ('pending', 'approved') and consumed_at is null
        and runs.state in ('waiting_approval', 'queued') and ${ranOut})
    union select 'label-router' where exists (select from hook_checks where next_check_at <= now())
      or exists (select from redeliveries where state = 'missing' and due_at <= now())
      or exists (select from label_scans where next_scan_at <= now())
      or exists (
        select from projects left join label_scans on project_id = id
        where state = 'connected' and project_id is null and created_at <= now() - interval '30 minutes')
    union select 'model-gateway' where exists (select from model_calls where state = 'reserved' and expires_at <= now())
    union select 'status-reporter' where (
      -- In order and one: otherwise all comments would be read, because nothing tells how few are behind.
      select run_id from comments where wanted > done and (lease_until is null or lease_until <= now())
      order by run_id limit 1) is not null`.execute(db)
  return rows.rows.map(({ owner }) => owner)
}
