import { sql } from 'kysely'
import type { Db } from '#shared/db/connect.ts'
import type { Row } from '#shared/db/schema.ts'
import { transaction } from '#shared/db/transaction.ts'
import { crashPoint } from '#shared/crash-point.ts'
import type { Attempt } from '#shared/forge/github/hook-deliveries.ts'
import type { Project } from './handler.ts'

/** A hook whose list is due, claimed until its next check. `from` and `until` bound what is looked at. */
export interface DueHook {
  readonly id: string
  readonly forgeHookId: string
  /** Undefined for an App's hook. */
  readonly project: Project | undefined
  readonly from: Date
  readonly until: Date
  readonly cursor: string | undefined
}

/** A delivery to ask for again, claimed. */
export interface DueRedelivery {
  readonly hookId: string
  readonly forgeHookId: string
  readonly project: Project | undefined
  readonly deliveryId: string
  readonly attemptId: string
}

/** What catching up on deliveries needs of the database. */
export interface Catching {
  dueHook(graceSeconds: number): Promise<DueHook | undefined>
  /** Keeps what the inbox does not have and, in the same transaction, how far the list was read: to `next`, or to its end. */
  keep(hook: DueHook, attempts: readonly Attempt[], next: string | undefined): Promise<number>
  /** The list is read on after so many seconds, or at the next check. */
  postpone(hook: DueHook, problem: string | undefined, seconds?: number): Promise<void>
  /** The list is read from its newest attempt at the next check. */
  restart(hook: DueHook): Promise<void>
  /** Forgets what has come, gives up what was asked for often enough or is too old. */
  settle(): Promise<{ readonly arrived: number; readonly givenUp: number }>
  dueRedelivery(notOf: readonly string[]): Promise<DueRedelivery | undefined>
  putBack(redelivery: DueRedelivery, seconds: number): Promise<void>
  giveUp(redelivery: DueRedelivery): Promise<void>
}

/** How long the forge keeps deliveries and repeats them. */
const KEPT = sql`interval '3 days'`

/** Read again each time: lists lag, and clocks differ. What is known already is not kept twice. */
const OVERLAP = sql`interval '1 hour'`

/** Requests for one delivery, 5, 15, 45 and 135 minutes apart, before it is left to the label events. */
const MOST_REQUESTS = 4

/** Rows and watermarks of catching up. All times are the database's. */
export function catching(db: Db): Catching {
  const projectOf = async (id: string | null) =>
    id === null ? undefined : db.selectFrom('projects').selectAll().where('id', '=', id).executeTakeFirst()
  return {
    async dueHook(graceSeconds) {
      const { rows } = await sql<Row<'hook_checks'> & { project_id: string | null; from: Date; until: Date }>`
        update hook_checks as checks
        -- So many hooks must not ask at the same time.
        set next_check_at = now() + interval '10 minutes' * (0.75 + random() / 2)
        from hooks
        where hooks.id = checks.hook_id and checks.hook_id = (
          select hook_id from hook_checks where next_check_at <= now()
          order by next_check_at limit 1 for update skip locked)
        returning checks.*, hooks.project_id,
          greatest(checked_until - ${OVERLAP}, now() - ${KEPT}) as from,
          coalesce(listed_from, now() - make_interval(secs => ${graceSeconds})) as until`.execute(db)
      const [row] = rows
      if (row === undefined) return undefined
      return {
        id: row.hook_id,
        forgeHookId: row.forge_hook_id,
        project: await projectOf(row.project_id),
        from: row.from,
        until: row.until,
        cursor: row.cursor ?? undefined,
      }
    },

    keep: (hook, attempts, next) =>
      transaction(db, async (tx) => {
        const kept =
          attempts.length === 0
            ? []
            : await tx
                .insertInto('redeliveries')
                .columns(['hook_id', 'delivery_id', 'attempt_id', 'repository_id', 'delivered_at'])
                .expression(
                  sql`select ${hook.id}, listed.* from unnest(
                      ${attempts.map(({ deliveryId }) => deliveryId)}::text[], ${attempts.map(({ id }) => id)}::text[],
                      ${attempts.map(({ repositoryId }) => repositoryId)}::text[],
                      ${attempts.map(({ at }) => at.toISOString())}::timestamptz[]) as listed (delivery_id, attempt_id, repository_id, delivered_at)
                    where not exists (
                      select from inbox where inbox.hook_id = ${hook.id} and inbox.delivery_id = listed.delivery_id)`,
                )
                // Newest first: of several attempts the latest is repeated.
                .onConflict((conflict) => conflict.doNothing())
                .returning('delivery_id')
                .execute()
        crashPoint('catch-up.before-page-commit')
        await tx
          .updateTable('hook_checks')
          .set(
            next === undefined
              ? { checked_until: hook.until, cursor: null, listed_from: null, problem: null }
              : { cursor: next, listed_from: hook.until, problem: null },
          )
          .where('hook_id', '=', hook.id)
          .execute()
        return kept.length
      }),

    async postpone({ id }, problem, seconds) {
      const due = seconds === undefined ? {} : { next_check_at: sql<Date>`now() + make_interval(secs => ${seconds})` }
      await db
        .updateTable('hook_checks')
        .set({ problem: problem?.slice(0, 500) ?? null, ...due })
        .where('hook_id', '=', id)
        .execute()
    },

    async restart({ id }) {
      await db.updateTable('hook_checks').set({ cursor: null, listed_from: null }).where('hook_id', '=', id).execute()
    },

    async settle() {
      const arrived = await sql`
        delete from redeliveries using inbox
        where inbox.hook_id = redeliveries.hook_id and inbox.delivery_id = redeliveries.delivery_id`.execute(db)
      const givenUp = await sql`
        update redeliveries set state = 'given_up'
        where state = 'missing' and due_at <= now()
          and (requests >= ${MOST_REQUESTS} or delivered_at < now() - ${KEPT})`.execute(db)
      return { arrived: Number(arrived.numAffectedRows ?? 0), givenUp: Number(givenUp.numAffectedRows ?? 0) }
    },

    async dueRedelivery(notOf) {
      const { rows } = await sql<Row<'redeliveries'> & { project_id: string | null; forge_hook_id: string }>`
        update redeliveries as missing
        set requests = requests + 1, due_at = now() + interval '5 minutes' * 3 ^ requests
        from hooks join hook_checks on hook_checks.hook_id = hooks.id
        where hooks.id = missing.hook_id and (missing.hook_id, missing.delivery_id) = (
          select hook_id, delivery_id from redeliveries
          where state = 'missing' and due_at <= now() and requests < ${MOST_REQUESTS} and hook_id <> all (${notOf}::text[])
          order by due_at, delivered_at limit 1 for update skip locked)
        returning missing.*, hooks.project_id, hook_checks.forge_hook_id`.execute(db)
      const [row] = rows
      if (row === undefined) return undefined
      return {
        hookId: row.hook_id,
        forgeHookId: row.forge_hook_id,
        project: await projectOf(row.project_id),
        deliveryId: row.delivery_id,
        attemptId: row.attempt_id,
      }
    },

    async putBack({ hookId, deliveryId }, seconds) {
      await db
        .updateTable('redeliveries')
        .set({ requests: sql`requests - 1`, due_at: sql<Date>`now() + make_interval(secs => ${seconds})` })
        .where('hook_id', '=', hookId)
        .where('delivery_id', '=', deliveryId)
        .execute()
    },

    async giveUp({ hookId, deliveryId }) {
      await db
        .updateTable('redeliveries')
        .set({ state: 'given_up' })
        .where('hook_id', '=', hookId)
        .where('delivery_id', '=', deliveryId)
        .execute()
    },
  }
}
