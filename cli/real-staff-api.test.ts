import { expect } from 'vitest'
import { addAttempt, addProject, addRun } from '#shared/run/testing/rows.ts'
import { staff, tokens } from '../functions/staff-api/testing/staff.ts'
import { test } from '../test/support/database.ts'
import { knCodex, kubeconfigFor, type Ended } from './testing/kn-codex.ts'

// The built tool as a process, against the real staff-api on a database, with tokens that a TokenReview takes.

const tool = knCodex()

/** The tool in the hands of somebody. */
const handsOf =
  (url: string) =>
  (person: keyof typeof tokens) =>
  (...args: string[]): Promise<Ended> =>
    tool([...args, '--server', url], kubeconfigFor('http://127.0.0.1:65530', { token: tokens[person] }))

test('an admin gives a role, who has it uses it, and nobody does more than they may', async ({ db }) => {
  const { url, lines } = await staff(db)
  const as = handsOf(url)
  const [root, vera, nobody, elsewhere] = [as('root'), as('vera'), as('nobody'), as('elsewhere')]
  const run = await addRun(db, await addProject(db), { state: 'failed', columns: { reason: 'agent_lost' } })
  await addAttempt(db, run.id, { state: 'lost' })

  expect((await root('grants', 'add', 'viewer', 'vera')).out).toMatch(/^Grant '\S+' made: user vera is viewer\.\n$/)
  expect((await vera('whoami')).out).toMatch(/^User: +vera\n.*Role: +viewer on all projects\n$/s)
  const list = await vera('runs', 'list', '-o', 'name')
  expect(list).toEqual({ code: 0, out: `run/${run.id}\n`, err: '' })
  expect((await vera('runs', 'describe', run.id)).out).toMatch(/^State: +failed\nReason: +agent_lost: /m)
  expect((await vera('deadletters', 'list')).out).toBe('No dead letters found.\n')
  expect((await vera('ledger', 'verify')).out).toMatch(/^The ledger holds/)

  const refused = await vera('runs', 'cancel', run.id)
  expect(refused.err).toMatch(/^Error: You may not do this\nIt needs the role operator here\./)
  expect(refused.code).toBe(1)
  expect((await nobody('runs', 'describe', run.id)).err).toMatch(/^Error: Not found\n/)
  expect((await elsewhere('whoami')).err).toMatch(/^Error: A valid token of this cluster is needed\n/)

  const over = await root('runs', 'cancel', run.id)
  expect(over.code).toBe(1)
  expect(over.err).toMatch(/^Error: /)
  expect(JSON.stringify(lines)).not.toMatch(/canary-/)
})

test('logs are followed to the end of a run', async ({ db }) => {
  const { url } = await staff(db)
  const run = await addRun(db, await addProject(db), { state: 'succeeded' })
  const { attempt } = await addAttempt(db, run.id)
  const texts = ['started', 'red \u001b[31m', 'uploading']
  await db
    .insertInto('progress')
    .values(texts.map((text, at) => ({ run_id: run.id, attempt, sequence: at + 1, kind: 'message', text })))
    .execute()
  expect(await handsOf(url)('root')('runs', 'logs', '-f', run.id)).toEqual({
    code: 0,
    out: 'message: started\nmessage: red \\u001b[31m\nmessage: uploading\n',
    err: '',
  })
})
