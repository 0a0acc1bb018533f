import { sql } from 'kysely'
import { crashPoint } from '#shared/crash-point.ts'
import type { Db } from '#shared/db/connect.ts'
import type { Row } from '#shared/db/schema.ts'
import { transaction, type Tx } from '#shared/db/transaction.ts'
import { EVENT_TYPES, type PlatformType } from '#shared/events/types.ts'
import type { AttemptRef } from '#shared/job/token.ts'
import { writeAs } from '#shared/outbox/deliver.ts'
import { emit } from '#shared/outbox/write.ts'
import { runEvent } from '#shared/run/run-event.ts'
import { endRun, lockRun } from '#shared/run/transition.ts'
import type { Cost, Deps, Reserved } from './handler.ts'
import { openAttempt, type Attempt, type Usage } from './limits.ts'

/** Expired reservations that one sweep charges. */
const SWEEP_ROWS = 200

/** The reservations of model calls, and what they are checked against. */
export interface Store extends Pick<Deps, 'attempt' | 'reserve' | 'exhaust' | 'renew' | 'settle'> {
  /** Charges what nobody renewed and nobody asked for since. Returns the outbox rows it wrote. */
  chargeExpired(graceSeconds: number): Promise<readonly string[]>
}

/** The store on PostgreSQL. A reservation is a lease: the process that holds the stream renews it. */
export function store(db: Db, leaseSeconds: number): Store {
  const expiry = sql<Date>`now() + make_interval(secs => ${leaseSeconds})`

  return {
    attempt: (ref) => findAttempt(db, ref),

    reserve: (ref, tokens, deny) =>
      transaction(db, async (tx): Promise<Reserved> => {
        // One reservation of a run at a time: what is summed below stays true until this one is in it.
        await tx.selectFrom('runs').select('id').where('id', '=', ref.run).forNoKeyUpdate().execute()
        const attempt = await findAttempt(tx, ref)
        const written = await charge(tx, sql<boolean>`run_id = ${ref.run} and expires_at <= now()`)
        const usage: Usage = await tx
          .selectFrom('model_calls')
          .select(sql<number>`coalesce(sum(charged_tokens), 0)::bigint`.as('charged'))
          .select(
            sql<
              number | null
            >`ceil(extract(epoch from max(expires_at) filter (where state = 'reserved') - now()))::int`.as('open'),
          )
          .where('run_id', '=', ref.run)
          .executeTakeFirstOrThrow()
        const denied = deny(attempt, usage)
        if (denied !== undefined) return { ...denied, written }
        const call = await tx
          .insertInto('model_calls')
          .values({
            run_id: ref.run,
            attempt: ref.attempt,
            reserved_tokens: tokens,
            charged_tokens: tokens,
            expires_at: expiry,
          })
          .returningAll()
          .executeTakeFirstOrThrow()
        written.push(...(await record(tx, EVENT_TYPES.usageReserved, [call])))
        return { id: call.id, written }
      }),

    // A transaction of its own: the lock of the subject comes before the one of the run that a reservation takes.
    async exhaust(ref, detail) {
      const { written } = await writeAs(db, 'model-gateway', async (writer) => {
        await lockRun(writer.tx, ref.run)
        if ('refused' in openAttempt(await findAttempt(writer.tx, ref))) return
        await endRun(writer, ref.run, {
          state: 'failed',
          reason: 'budget_exhausted',
          ...(detail !== undefined && { detail }),
          type: EVENT_TYPES.runFailed,
        })
        crashPoint('model.before-exhausted-commit')
      })
      return written
    },

    async renew(id) {
      const renewed = await db
        .updateTable('model_calls')
        .set({ expires_at: expiry })
        .where('id', '=', id)
        .where('state', '=', 'reserved')
        .where(sql<boolean>`exists (
          select from attempts where attempts.run_id = model_calls.run_id and attempts.attempt = model_calls.attempt
            and attempts.state in ('intended', 'created') and deadline_at > now())`)
        .executeTakeFirst()
      return renewed.numUpdatedRows === 1n
    },

    settle: (id, cost) =>
      transaction(db, async (tx) => {
        const rows = await tx
          .updateTable('model_calls')
          .set(charges(cost))
          .where('id', '=', id)
          .where('state', '=', 'reserved')
          .returningAll()
          .execute()
        return record(tx, EVENT_TYPES.usageRecorded, rows)
      }),

    chargeExpired: (graceSeconds) =>
      transaction(db, (tx) => charge(tx, sql<boolean>`expires_at <= now() - make_interval(secs => ${graceSeconds})`)),
  }
}

/** Without usage the reservation is the charge: somebody who cuts the stream must not gain by it. */
function charges(cost: Cost): Partial<Row<'model_calls'>> {
  if (cost === 'unknown') return { state: 'charged' }
  const { inputTokens, outputTokens } = cost === 'nothing' ? { inputTokens: 0, outputTokens: 0 } : cost
  return {
    state: 'settled',
    charged_tokens: inputTokens + outputTokens,
    input_tokens: inputTokens,
    output_tokens: outputTokens,
  }
}

async function findAttempt(db: Db, ref: AttemptRef): Promise<Attempt | undefined> {
  return db
    .selectFrom('attempts')
    .innerJoin('runs', 'runs.id', 'attempts.run_id')
    .innerJoin('bundles', 'bundles.digest', 'runs.bundle_digest')
    .select(['attempts.state', 'attempts.reason', 'runs.state as runState', 'bundles.manifest'])
    .select(sql<boolean>`attempts.deadline_at > now()`.as('inTime'))
    .select(
      sql<boolean>`attempts.fence = (select max(fence) from attempts as any_attempt where any_attempt.run_id = attempts.run_id)`.as(
        'newest',
      ),
    )
    .where('attempts.run_id', '=', ref.run)
    .where('attempts.attempt', '=', ref.attempt)
    .where('attempts.fence', '=', ref.fence)
    .executeTakeFirst()
}

async function charge(tx: Tx, which: ReturnType<typeof sql<boolean>>): Promise<string[]> {
  const overdue = tx
    .selectFrom('model_calls')
    .select('id')
    .where('state', '=', 'reserved')
    .where(which)
    .limit(SWEEP_ROWS)
    .forUpdate()
    .skipLocked()
  const rows = await tx
    .updateTable('model_calls')
    .set(charges('unknown'))
    .where('id', 'in', overdue)
    .returningAll()
    .execute()
  return record(tx, EVENT_TYPES.usageRecorded, rows)
}

/** An event for each call: what it may cost at most, or a charge that is final. */
async function record(tx: Tx, type: PlatformType, calls: readonly Row<'model_calls'>[]): Promise<string[]> {
  const written: string[] = []
  for (const call of calls) {
    const run = await tx.selectFrom('runs').selectAll().where('id', '=', call.run_id).executeTakeFirstOrThrow()
    written.push(
      await emit(tx, 'model-gateway', runEvent(type, run, { rows: { model_calls: [call] }, attempt: call.attempt })),
    )
  }
  return written
}
