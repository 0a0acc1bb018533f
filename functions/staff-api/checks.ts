import { sql } from 'kysely'
import type { Db } from '#shared/db/connect.ts'
import { forgeCheck } from './check-forge.ts'
import { failed, ok, warning, type Finding } from './finding.ts'
import type { Clients, Config, Operations } from './handler.ts'
import { ledgerCheck } from './ledger.ts'
import { one } from './one.ts'
import { iso } from './page.ts'

/** What is due for longer than this is overdue, seconds; a sweep that is older than three rounds has not come. */
const OVERDUE_SECONDS = 60
const SWEEP_SECONDS = 15 * 60

/** How long a function may take to be there, milliseconds: a cold start with room. */
const WAKE_MS = 15_000

/** Whether everything works. */
export function checkOperations(config: Config, clients: Clients): Pick<Operations, 'getChecks'> {
  const { db, log } = clients
  const checks = {
    database: async () =>
      ok(`PostgreSQL ${(await one<{ server_version: string }>(db, sql`show server_version`)).server_version}`),
    migrations: () => migrations(db, config.newestMigration),
    ledger: () => ledgerCheck(db, OVERDUE_SECONDS),
    outbox: () => outbox(db),
    deliveries: () => deliveries(db),
    quarantine: () => quarantine(db),
    forge: () => forgeCheck(config, clients),
    hooks: () => hooks(db),
    model: () => model(db, config.serviceUrl('model-gateway')),
    sweep: () => sweep(db),
  }
  type Name = keyof typeof checks

  return {
    async getChecks() {
      const found = Object.entries(checks).map(async ([name, check]) => ({
        name: name as Name,
        ...(await check().catch((error: unknown): Finding => {
          log.warn({ check: name, err: error }, 'a check could not be made')
          return { status: 'unknown', says: 'It could not be looked at.', next: 'See the log of staff-api.' }
        })),
      }))
      return { checks: await Promise.all(found), at: iso((await one<{ now: Date }>(db, sql`select now() as now`)).now) }
    },
  }
}

async function migrations(db: Db, newest: string): Promise<Finding> {
  const row = await db.selectFrom('migrations').select('name').orderBy('name', 'desc').limit(1).executeTakeFirst()
  const has = row?.name ?? 'none'
  if (has === newest) return ok(`The schema is at ${has}.`)
  return has < newest
    ? failed(`The schema is at ${has}, this version needs ${newest}.`, 'Run the migrations Job of this version.')
    : warning(
        `The schema is at ${has}, newer than this version, which knows ${newest}.`,
        'Finish the upgrade, or the way back.',
      )
}

async function outbox(db: Db): Promise<Finding> {
  const { late } = await one<{ late: number }>(
    db,
    sql`select count(*)::int as late from outbox where sent_at is null and created_at < now() - make_interval(secs => ${OVERDUE_SECONDS})`,
  )
  return late === 0
    ? ok('Every event is on the broker.')
    : failed(
        `${late} events are not on the broker.`,
        'Is the broker Ready? kubectl get broker; what waits is sent when it is.',
      )
}

async function deliveries(db: Db): Promise<Finding> {
  const { rows } = await sql<{ consumer: string; late: number }>`
    select consumer, count(*)::int as late from deliveries where state = 'pending'
      and due_at < now() - make_interval(secs => ${OVERDUE_SECONDS}) group by consumer order by consumer`.execute(db)
  if (rows.length === 0) return ok('Every event is handled.')
  const said = rows.map(({ consumer, late }) => `${late} at ${consumer}`).join(', ')
  return warning(`Overdue: ${said}.`, 'See the logs of these functions, and the triggers: kubectl get trigger.')
}

async function quarantine(db: Db): Promise<Finding> {
  const { events, webhooks } = await one<{ events: number; webhooks: number }>(
    db,
    sql`select (select count(*)::int from deliveries where state = 'quarantined') as events,
      (select count(*)::int from inbox where state = 'quarantined') as webhooks`,
  )
  if (events + webhooks === 0) return ok('Nothing is quarantined.')
  return warning(
    `Quarantined: ${events} deliveries of events, ${webhooks} webhooks.`,
    'kn codex deadletters list says why; repair the cause, then redrive.',
  )
}

async function hooks(db: Db): Promise<Finding> {
  const { rows } = await sql<{ name: string; problem: string | null; waits: boolean }>`
    select full_name as name, problem, forge_hook_id is null as waits
    from projects join hooks on hooks.project_id = projects.id left join hook_checks on hook_id = hooks.id
    where projects.state = 'connected' and (forge_hook_id is null or problem is not null)
    order by full_name limit 5`.execute(db)
  const [first] = rows
  if (first === undefined) return ok('Every connected repository has its webhook.')
  const names = rows.map(({ name }) => name).join(', ')
  return first.waits
    ? warning(`Without a known webhook: ${names}.`, 'Connect the project again: kn codex project add OWNER/NAME.')
    : warning(
        `Deliveries cannot be listed: ${names}.`,
        'Give the App "Repository webhooks: read and write"; see the project.',
      )
}

async function model(db: Db, url: string): Promise<Finding> {
  const answer = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(WAKE_MS) }).catch(() => undefined)
  await answer?.body?.cancel()
  if (answer?.ok !== true)
    return failed(
      'model-gateway does not answer.',
      'kubectl get ksvc model-gateway; it needs the Secret codex-k8s-model.',
    )
  const { last } = await one<{ last: Date | null }>(
    db,
    sql`select max(created_at) as last from model_calls where state = 'settled' and created_at > now() - interval '7 days'`,
  )
  return ok(
    last === null
      ? 'model-gateway answers; no model call in seven days.'
      : `The last model call that worked: ${iso(last)}.`,
  )
}

async function sweep(db: Db): Promise<Finding> {
  const row = await db
    .selectFrom('sweeps')
    .select(['last_at', sql<boolean>`last_at < now() - make_interval(secs => ${SWEEP_SECONDS})`.as('late')])
    .executeTakeFirst()
  const next = 'Does the PingSource reach the reconciler? kubectl get pingsource, and its log.'
  if (row === undefined) return warning('Nobody has swept yet.', next)
  return row.late
    ? failed(`The last sweep was at ${iso(row.last_at)}.`, next)
    : ok(`The last sweep was at ${iso(row.last_at)}.`)
}
