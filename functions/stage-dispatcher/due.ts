import { sql } from 'kysely'
import type { Db } from '#shared/db/connect.ts'
import { silentSeconds } from '#shared/job/bundle.ts'
import { MAX_ATTEMPTS } from '#shared/run/attempts.ts'
import type { Deps, Due } from './handler.ts'
import { jobName } from './job-name.ts'

/**
 * How much longer than it may be silent nothing of an agent has to be heard here before that counts, seconds: its
 * supervisor is to notice first, and a gateway that was away for some minutes is not the agent's silence.
 */
const UNHEARD_SECONDS = 600

/** Open attempts as the database sees them; which ones, `Deps.due` says. */
export async function dueAttempts(db: Db, which: Parameters<Deps['due']>[0]): Promise<readonly Due[]> {
  // Attempt and run in one statement: read apart, a result in between would make a finished attempt look lost.
  const open = db
    .selectFrom('attempts')
    .innerJoin('runs', 'runs.id', 'attempts.run_id')
    .innerJoin('bundles', 'bundles.digest', 'runs.bundle_digest')
    .selectAll('runs')
    .select([
      'attempts.attempt',
      'bundles.manifest',
      sql<number | null>`extract(epoch from now() - last_seen_at)::int`.as('unheard'),
      // Who was seen was created, whether or not a crash kept us from writing that down.
      sql<'intended' | 'created'>`case when last_seen_at is null then attempts.state else 'created' end`.as('known'),
      sql<boolean>`deadline_at <= now()`.as('deadlinePassed'),
    ])
    .where('attempts.state', 'in', ['intended', 'created'])
    .where('runs.state', 'in', ['starting', 'running'])
  const due =
    'job' in which
      ? open.where(
          sql<boolean>`exists (select from intents where kind = 'job' and name = ${which.job}
            and intents.run_id = attempts.run_id and intents.attempt = attempts.attempt)`,
        )
      : open.where((when) =>
          when.or([
            when('attempts.created_at', '<=', sql<Date>`now() - make_interval(secs => ${which.graceSeconds})`),
            when('attempts.deadline_at', '<=', sql<Date>`now()`),
          ]),
        )
  const rows = await due.execute()
  return rows.map(({ attempt, known, deadlinePassed, manifest, unheard, ...run }) => {
    const silent = unheard !== null && unheard > silentSeconds(manifest) + UNHEARD_SECONDS
    return {
      run,
      attempt: {
        last: attempt >= MAX_ATTEMPTS,
        state: known,
        deadlinePassed,
        unheard: silent ? unheard : undefined,
      },
      name: jobName(run.id, attempt),
    }
  })
}
