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
    .leftJoin('intents', (join) =>
      join
        .onRef('intents.run_id', '=', 'attempts.run_id')
        .onRef('intents.attempt', '=', 'attempts.attempt')
        .on('intents.kind', '=', 'job')
        .on('intents.state', '!=', 'gone'),
    )
    .selectAll('runs')
    .select([
      'attempts.attempt',
      'intents.namespace',
      'bundles.manifest',
      sql<number>`coalesce(extract(epoch from now() - last_seen_at), 0)::int`.as('quiet'),
      // Who was seen was created, whether or not a crash kept us from writing that down.
      sql<'intended' | 'created'>`case when last_seen_at is null then attempts.state else 'created' end`.as('known'),
      sql<boolean>`deadline_at <= now()`.as('deadlinePassed'),
    ])
    .where('attempts.state', 'in', ['intended', 'created'])
    .where('runs.state', 'in', ['starting', 'running'])
  const due =
    'job' in which
      ? open.where('intents.name', '=', which.job)
      : open.where((when) =>
          when.or([
            when('attempts.created_at', '<=', sql<Date>`now() - make_interval(secs => ${which.graceSeconds})`),
            when('attempts.deadline_at', '<=', sql<Date>`now()`),
          ]),
        )
  const rows = await due.execute()
  return rows.map(({ attempt, namespace, known, deadlinePassed, manifest, quiet, ...run }) => ({
    run,
    attempt: {
      last: attempt >= MAX_ATTEMPTS,
      state: known,
      deadlinePassed,
      quiet,
      unheard: quiet > silentSeconds(manifest) + UNHEARD_SECONDS ? quiet : undefined,
    },
    ref: { name: jobName(run.id, attempt), namespace, run: run.id },
  }))
}
