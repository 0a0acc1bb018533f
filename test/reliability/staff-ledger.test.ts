import { sql } from 'kysely'
import { expect, onTestFinished } from 'vitest'
import { create as auditSink } from '../../functions/audit-sink/app.ts'
import { staff } from '../../functions/staff-api/testing/staff.ts'
import { connect } from '#shared/db/connect.ts'
import { quiet, sweep } from '#shared/edge/testing/post.ts'
import { requestStages } from '#shared/run/testing/rows.ts'
import { test } from '../support/database.ts'

test('U3 the ledger is verified from any entry on, and an entry that was changed is found', async ({
  db,
  databaseUrl,
}) => {
  const { call } = await staff(db)
  await requestStages(db, 5)
  const audit = auditSink({ db: connect(databaseUrl, { name: 'audit' }), log: quiet })
  onTestFinished(() => audit.close())
  await sweep(audit)
  const { json: ledger } = await call('GET', '/v1/ledger')
  expect(ledger).toMatchObject({ head: expect.stringMatching(/^5:/), behind: 0 })
  const verify = (after?: string) =>
    call('GET', `/v1/ledger/verification${after === undefined ? '' : `?after=${after}`}`)
  expect((await verify()).json).toEqual({ ok: true, head: ledger['head'], more: false, problem: null })
  const third = await db.selectFrom('ledger').selectAll().where('seq', '=', 3).executeTakeFirstOrThrow()
  expect((await verify(`3:${third.hash}`)).json).toMatchObject({ ok: true, head: ledger['head'] })
  expect((await verify(`3:${'0'.repeat(64)}`)).json).toMatchObject({ ok: false, problem: { seq: 3 } })
  await sql`alter table ledger disable trigger ledger_is_history`.execute(db)
  await sql`update ledger set entry = replace(entry, 'stage', 'stale') where seq = 4`.execute(db)
  expect((await verify()).json).toMatchObject({ ok: false, problem: { seq: 4 } })
})
