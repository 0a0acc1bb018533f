import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { sql } from 'kysely'
import { expect, inject } from 'vitest'
import { withLogin } from '../../deploy/local/logins.ts'
import { readLedger } from '../../functions/audit-sink/read-ledger.ts'
import { verify } from '#shared/ledger/verify.ts'
import { transaction } from '#shared/db/transaction.ts'
import { emit } from '#shared/outbox/write.ts'
import { addProject, addRun } from '#shared/run/testing/rows.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import { runEvent } from '#shared/run/run-event.ts'
import { test } from '../support/database.ts'
import { rawQueries } from '../support/invariants.ts'
import { spawnNode } from '../support/processes.ts'
import { eventually } from '../support/wait.ts'

const WRITERS = 64
const EVENTS_EACH = 25
const KILLS = 6

const script = fileURLToPath(new URL('../../functions/audit-sink/main.ts', import.meta.url))

test('U3 many writers, and appenders that are killed again and again, make one chain without a gap', async ({
  db,
  databaseUrl,
}) => {
  const env = {
    PORT: '0',
    DATABASE_URL: withLogin(databaseUrl, inject('postgres').logins.audit),
    BROKER_URL: 'http://127.0.0.1:9',
  }
  const start = async () => {
    const sink = spawnNode(script, { env })
    const [, url = ''] = await sink.waitForLine(/"url":"([^"]+)".*"listening"/, 30_000)
    return { sink, url }
  }
  const replicas = [await start(), await start()]
  const run = await addRun(db, await addProject(db))
  let writing = true
  const knocking = replicas.map(async (_, index) => {
    while (writing) await fetch(`${replicas[index]?.url}/sweep`, { method: 'POST' }).catch(() => sleep(20))
  })
  const killing = (async () => {
    for (let kill = 0; kill < KILLS; kill += 1) {
      const index = kill % 2
      await replicas[index]?.sink.kill('SIGKILL')
      replicas[index] = await start()
    }
  })()
  const event = runEvent(EVENT_TYPES.runProgressed, run, { rows: { runs: [run] } })
  await Promise.all(
    Array.from({ length: WRITERS }, async () => {
      for (let n = 0; n < EVENTS_EACH; n += 1)
        await transaction(db, (tx) => emit(tx, 'test', { ...event, data: { id: randomUUID() } }))
    }),
  )
  await killing
  writing = false
  await Promise.all(knocking)
  await eventually(async () => (await fetch(`${replicas[0]?.url}/sweep`, { method: 'POST' })).ok, {
    what: 'the rest to be appended',
    timeoutMs: 30_000,
  })

  const verdict = await rawQueries(db, (database) => verify(readLedger(database)))
  expect(verdict).toMatchObject({ ok: true, head: { seq: WRITERS * EVENTS_EACH } })
  const { rows } = await sql<{ missing: number }>`
    select count(*)::int as missing from outbox left join ledger on ledger.outbox_id = outbox.id
    where ledger.seq is null`.execute(db)
  expect(rows).toEqual([{ missing: 0 }])
}, 120_000)
