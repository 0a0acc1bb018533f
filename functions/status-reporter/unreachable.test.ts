import { expect } from 'vitest'
import { PermanentError } from '#shared/errors.ts'
import { addProject, addRun } from '#shared/run/testing/rows.ts'
import { test } from '../../test/support/database.ts'
import { sweepReporter, type Deps } from './handler.ts'
import { store } from './store.ts'

test('a comment that can never be written fails one sweep and is not looked at again', async ({ db }) => {
  const run = await addRun(db, await addProject(db), { state: 'queued' })
  await db.insertInto('comments').values({ run_id: run.id, wanted: 1 }).execute()
  const deps: Deps = {
    ...store(db),
    forge: () => {
      throw new PermanentError('another instance')
    },
  }
  await expect(sweepReporter(deps)()).rejects.toThrow('another instance')
  expect(await sweepReporter(deps)()).toEqual([])
  expect(await deps.behind()).toEqual([])
})
