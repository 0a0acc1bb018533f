import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import type { Db } from '#shared/db/connect.ts'
import { noRelay, post, quiet } from '#shared/edge/testing/post.ts'
import { createGitHub } from '#shared/forge/github/client.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import type { Manifest } from '#shared/job/bundle.ts'
import { addProject, addRun, runNow, saidOf, say } from '#shared/run/testing/rows.ts'
import { create } from './app.ts'
import { test } from './testing/test.ts'

const gate: Manifest['gate'] = {
  users: ['1001'],
  permission: 'write',
  quorum: 1,
  excludeRequester: true,
  expiresAfterSeconds: 3_600,
}

/** A forge that nobody asks here. */
const noForge = createGitHub({
  instance: 'http://127.0.0.1:9',
  auth: { kind: 'token', token: 'none' },
  log: quiet,
})

async function asked(db: Db, manifest: Partial<Manifest> = {}) {
  const app = create({ db, relay: noRelay, log: quiet, github: noForge })
  const run = await addRun(db, await addProject(db), { state: 'waiting_approval', manifest })
  const ask = async () => post(app, db, 'approval-gate', await say(db, EVENT_TYPES.stageRequested, run))
  return { run, ask }
}

describe('the gate', () => {
  test('lets pass what has none, once, however often it is asked and by how many at once', async ({ db }) => {
    const { run, ask } = await asked(db)
    const answers = await Promise.all([ask(), ask(), ask()])
    expect(answers.map(({ status, state }) => `${status} ${state}`)).toEqual(['202 done', '202 done', '202 done'])
    expect(await runNow(db, run.id)).toMatchObject({ state: 'queued', version: 2 })
    expect(await saidOf(db, run.id)).toEqual(['stage.approved'])
  })

  test.for([
    ['the server is out of space', '53100', 503],
    ['a constraint says no', '23514', 500],
  ] as const)('U7 opens nothing while it cannot be recorded: %s', async ([, code, status], { db }) => {
    const { run, ask } = await asked(db)
    await sql
      .raw(
        `create function no() returns trigger language plpgsql as $$ begin raise exception 'no' using errcode = '${code}'; end $$;
         create trigger no before insert on outbox for each row when (new.producer = 'approval-gate') execute function no()`,
      )
      .execute(db)
    expect(await ask()).toMatchObject({ status, state: 'pending' })
    expect(await runNow(db, run.id)).toEqual(run)
    expect(await saidOf(db, run.id)).toEqual([])
    await sql`drop trigger no on outbox`.execute(db)
    expect(await ask()).toMatchObject({ status: 202, state: 'done' })
    expect(await runNow(db, run.id)).toMatchObject({ state: 'queued' })
  })

  test('holds what has one, and says for which content, by which policy and until when', async ({ db }) => {
    const { run, ask } = await asked(db, { gate })
    const answers = await Promise.all([ask(), ask(), ask()])
    expect(answers.map(({ state }) => state)).toEqual(['done', 'done', 'done'])
    expect((await runNow(db, run.id)).state).toBe('waiting_approval')
    const [approval, ...others] = await db.selectFrom('approvals').selectAll().execute()
    expect(others).toEqual([])
    expect(approval).toMatchObject({ run_id: run.id, bundle_digest: run.bundle_digest, policy: gate, state: 'pending' })
    expect((approval?.expires_at.getTime() ?? 0) - (approval?.requested_at.getTime() ?? 0)).toBe(3_600_000)
    expect(await saidOf(db, run.id)).toEqual(['approval.requested'])
  })

  test.for(['queued', 'running', 'cancelled'] as const)(
    'does nothing for a run that is %s by now',
    async (state, { db }) => {
      const { run, ask } = await asked(db, { gate })
      await db.updateTable('runs').set({ state, reason: 'superseded' }).execute()
      expect(await ask()).toMatchObject({ status: 202, outcome: `ignored: the run is ${state}` })
      expect(await db.selectFrom('approvals').selectAll().execute()).toEqual([])
      expect(await saidOf(db, run.id)).toEqual([])
    },
  )
})
