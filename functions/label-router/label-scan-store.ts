import { sql } from 'kysely'
import { crashPoint } from '#shared/crash-point.ts'
import type { Db } from '#shared/db/connect.ts'
import { transaction } from '#shared/db/transaction.ts'
import { emit } from '#shared/outbox/write.ts'
import { labelGroup, renamesIn } from '#shared/workflow/labels.ts'
import { foundId, type DueScan, type ScanDeps } from './label-scan.ts'

/** How long a label event is left to a delivery that was asked for again. */
const LEFT_TO_REDELIVERY = sql`interval '3 hours'`

/** Grace of a label event, in those of a delivery: webhooks and their repetition come first. */
const GRACE = 10

/** Rows and watermarks of the scan. All times are the database's. */
export function scanning(db: Db): Pick<ScanDeps, 'dueScan' | 'unknown' | 'record' | 'postpone'> {
  return {
    async dueScan(graceSeconds) {
      // What was asked for before a repository was connected, or while it was not, is not taken up.
      await sql`
        insert into label_scans (project_id, next_scan_at, scanned_until)
        select id, created_at + interval '30 minutes', created_at from projects where state = 'connected'
        on conflict do nothing`.execute(db)
      await sql`
        update label_scans set next_scan_at = now() + interval '30 minutes', scanned_until = now() + interval '1 hour'
        from projects where projects.id = project_id and state <> 'connected' and next_scan_at <= now()`.execute(db)
      const { rows } = await sql<{ project_id: string; from: Date; until: Date; page: number | null }>`
        update label_scans as scans
        set next_scan_at = now() + interval '30 minutes' * (0.75 + random() / 2)
        from projects
        where projects.id = scans.project_id and scans.project_id = (
          select project_id from label_scans where next_scan_at <= now()
          order by next_scan_at limit 1 for update skip locked)
        returning scans.project_id, scans.page,
          -- The forge counts whole seconds.
          date_trunc('second', greatest(scanned_until - interval '1 hour', projects.created_at)) as from,
          coalesce(listed_from, least(
            now() - make_interval(secs => ${graceSeconds * GRACE}),
            (select min(delivered_at) - interval '1 second' from redeliveries join hooks on hooks.id = hook_id
              where redeliveries.state = 'missing' and found_at > now() - ${LEFT_TO_REDELIVERY}
                and (hooks.project_id = projects.id or redeliveries.repository_id = projects.repository_id)))) as until`.execute(
        db,
      )
      const [row] = rows
      if (row === undefined) return undefined
      const { from, until, page } = row
      const project = await db
        .selectFrom('projects')
        .selectAll()
        .where('id', '=', row.project_id)
        .executeTakeFirstOrThrow()
      return { project, from, until, page: page ?? 1 }
    },

    async unknown(project, changes) {
      if (changes.length === 0) return []
      const ids = changes.map(({ id }) => id)
      const runs = await db
        .selectFrom('runs')
        .select('label_event_id')
        .where('provider', '=', project.provider)
        .where('instance', '=', project.instance)
        .where('repository_id', '=', project.repository_id)
        .where('label_event_id', 'in', ids)
        .execute()
      const found = await db
        .selectFrom('outbox')
        .select('event_id')
        .where('source', '=', '/codex-k8s/label-router')
        .where(
          'event_id',
          'in',
          ids.map((id) => foundId(project, id)),
        )
        .execute()
      const { rows: underWay } = await sql<{ key: string | null }>`
        select event->'extensions'->>'partitionkey' || ' ' || (event->'extensions'->>'label') as key
        from deliveries join outbox on outbox.id = deliveries.outbox_id
        where consumer = 'label-router' and state = 'pending' and type in ('com.github.issues.labeled', 'com.github.pull_request.labeled')
          and event->'extensions'->>'project' = ${project.id}`.execute(db)
      const known = new Set([
        ...runs.map((run) => run.label_event_id),
        ...found.map(({ event_id }) => event_id.slice(foundId(project, '').length)),
      ])
      const comes = new Set(underWay.map(({ key }) => key))
      const label = (name: string) => labelGroup(name, renamesIn(project.settings))?.label ?? ''
      return changes.filter(
        (change) =>
          !known.has(change.id) &&
          !comes.has(`${project.repository_id}#${change.subject.number} ${label(change.label)}`),
      )
    },

    record: (scan, events, next) =>
      transaction(db, async (tx) => {
        const written = []
        for (const event of events) written.push(await emit(tx, 'label-router', event))
        crashPoint('catch-up.before-scan-commit')
        await tx
          .updateTable('label_scans')
          .set(
            next === undefined
              ? { scanned_until: watermark(scan), page: null, listed_from: null }
              : { page: next, listed_from: scan.until },
          )
          .where('project_id', '=', scan.project.id)
          .execute()
        return written
      }),

    async postpone({ project }, seconds) {
      await db
        .updateTable('label_scans')
        .set({ next_scan_at: sql<Date>`now() + make_interval(secs => ${seconds})` })
        .where('project_id', '=', project.id)
        .execute()
    },
  }
}

/** Never back: an old delivery that is still missing holds up the scan, not what was scanned. */
function watermark({ until }: DueScan) {
  return sql<Date>`greatest(scanned_until, ${until.toISOString()}::timestamptz)`
}
