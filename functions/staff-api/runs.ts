import { sql } from 'kysely'
import * as v from 'valibot'
import { isActive } from '#shared/run/transition.ts'
import { cancelRun, retryRun } from './run-actions.ts'
import { readRunEvents } from './event-rows.ts'
import { badCursor, conflict, notFound, type Clients, type Operations } from './handler.ts'
import { ByTime, iso, page, readCursor, writeCursor } from './page.ts'
import { readApproval, readAttempts, readLinks, readRun, readTokens, runOf, selectRuns } from './run-rows.ts'
import { oneLine, type NoRetry } from './decide.ts'

/** Order of an agent's lines: attempt and sequence. */
const ByLine = v.strictTuple([v.pipe(v.number(), v.safeInteger()), v.pipe(v.number(), v.safeInteger())])

/** Runs as people look at them, and what they may do to one. */
export function runOperations(
  clients: Clients,
): Pick<Operations, 'listRuns' | 'getRun' | 'getRunLogs' | 'cancelRun' | 'retryRun'> {
  const { db, relay } = clients
  return {
    async listRuns({ sees, query }) {
      const { limit, cursor, project, state, stage, number } = query
      const after = cursor === undefined ? undefined : readCursor(ByTime, cursor)
      if (cursor !== undefined && after === undefined) return badCursor
      let rows = selectRuns(db)
      if (sees !== 'all') rows = rows.where('runs.project_id', '=', sql<string>`any(${sees}::uuid[])`)
      if (project !== undefined) rows = rows.where('runs.project_id', '=', project)
      if (state !== undefined) rows = rows.where('runs.state', '=', state)
      if (stage !== undefined) rows = rows.where('runs.stage', '=', stage)
      if (number !== undefined) rows = rows.where('runs.subject_number', '=', number)
      if (after)
        rows = rows.where(sql<boolean>`(runs.created_at, runs.id) < (${after[0]}::timestamptz, ${after[1]}::uuid)`)
      const found = await rows
        .orderBy('runs.created_at', 'desc')
        .orderBy('runs.id', 'desc')
        .limit(limit + 1)
        .execute()
      const { shown, next } = page(found, limit, (row) => [iso(row.created_at), row.id])
      return { runs: shown.map(runOf), next }
    },

    async getRun({ path }) {
      const row = await selectRuns(db).where('runs.id', '=', path.run).executeTakeFirst()
      if (row === undefined) return notFound
      const [tokens, attempts, approval, events, links] = await Promise.all([
        readTokens(db, row.id, row.bundle_digest),
        readAttempts(db, row.id),
        readApproval(db, row.id),
        readRunEvents(db, row.id),
        readLinks(db, row.id, row.change_id),
      ])
      return { run: runOf(row), digest: row.bundle_digest, tokens, attempts, approval, events, links }
    },

    async getRunLogs({ path, query: { limit, cursor } }) {
      const after = cursor === undefined ? ([0, 0] as const) : readCursor(ByLine, cursor)
      if (after === undefined) return badCursor
      // Before the lines: an end that is seen has no line behind it.
      const run = await db.selectFrom('runs').select('state').where('id', '=', path.run).executeTakeFirst()
      if (run === undefined) return notFound
      const rows = await db
        .selectFrom('progress')
        .selectAll()
        .where('run_id', '=', path.run)
        .where(sql<boolean>`(attempt, sequence) > (${after[0]}::bigint, ${after[1]}::bigint)`)
        .orderBy('attempt')
        .orderBy('sequence')
        .limit(limit)
        .execute()
      const last = rows.at(-1)
      return {
        lines: rows.map(({ attempt, sequence, kind, text, at }) => ({ attempt, sequence, kind, text, at: iso(at) })),
        next: writeCursor(last === undefined ? after : [last.attempt, last.sequence]),
        over: !isActive(run.state),
      }
    },

    async cancelRun({ caller, path, body }) {
      const reason = body?.reason === undefined ? undefined : oneLine(body.reason)
      const { verdict, written } = await cancelRun(db, caller, path.run, reason)
      await relay.after(written)
      if (verdict === 'over')
        return conflict('run_over', 'The run has ended', 'There is nothing to cancel: see how it ended.')
      return { run: await readRun(db, path.run), changed: verdict === 'cancel' }
    },

    async retryRun({ caller, path }) {
      const { verdict, run, written } = await retryRun(db, caller, path.run)
      await relay.after(written)
      if (run === undefined) return conflict(verdict, ...noRetry[verdict as NoRetry])
      return { run: await readRun(db, run), changed: verdict === 'retry' }
    },
  }
}

const again = 'Set the label again: that is a new run of what the issue says now.'

const noRetry: Readonly<Record<NoRetry, readonly [title: string, detail: string]>> = {
  not_failed: ['Only a failed run is retried', again],
  not_retryable: ['With the same input it would end the same way', `See its reason. ${again}`],
  newer_run: ['The stage was asked for again since', 'Look at the newer run.'],
  run_active: ['A run of this stage is active on the issue', 'Wait for it, or cancel it.'],
  not_connected: ['The repository is not connected', 'Ask an admin to connect it.'],
}
