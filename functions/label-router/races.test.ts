import { describe, expect } from 'vitest'
import type { Db } from '#shared/db/connect.ts'
import type { Row } from '#shared/db/schema.ts'
import { deliver, type Handler } from '#shared/outbox/deliver.ts'
import { receive } from '#shared/run/testing/receive.ts'
import { saidOf } from '#shared/run/testing/rows.ts'
import { defaultWorkflow } from '#shared/workflow/default-workflow.ts'
import { githubForge } from './github.ts'
import { labelRouter } from './handler.ts'
import { store } from './store.ts'
import { routers } from './testing/router.ts'
import { test } from './testing/test.ts'

const { forge, router } = routers()

/** A router that holds still once it has seen the issue for the first time, until it is let go. */
async function holding(db: Db): Promise<{ handle: Handler; seen: Promise<void>; letGo(): void }> {
  const seen = Promise.withResolvers<void>()
  const go = Promise.withResolvers<void>()
  const workflow = await defaultWorkflow()
  const handle = labelRouter({
    workflow,
    models: ['gpt-5.4-mini'],
    model: undefined,
    ...store(db),
    forge(project) {
      const real = githubForge(forge.github(), project)
      return {
        ...real,
        async subject(number) {
          const subject = await real.subject(number)
          seen.resolve()
          await go.promise
          return subject
        },
      }
    },
  })
  return { handle, seen: seen.promise, letGo: () => go.resolve() }
}

const shown = (runs: readonly Row<'runs'>[]) =>
  runs.map(({ state, reason }) => (reason === null ? state : `${state} ${reason}`))

describe('W10 between the look at the forge and the commit', () => {
  test('a label that is taken off, with that handled whole, starts nothing', async ({ db }) => {
    const { project, take, runs } = await router(db)
    const issue = await forge.issue()
    const labelled = await receive(db, project, await forge.label(issue))
    const { handle, seen, letGo } = await holding(db)
    const delivering = deliver(db, 'label-router', labelled, handle)
    await seen
    expect(await take(await forge.unlabel(issue))).toMatchObject({ status: 202, state: 'done' })
    letGo()
    expect((await delivering).outcome).toBe('refused: label_removed')
    expect(shown(await runs())).toEqual(['refused label_removed'])
  })

  test('an issue that is closed, with that handled whole, starts nothing', async ({ db }) => {
    const { project, take, runs } = await router(db)
    const issue = await forge.issue()
    const labelled = await receive(db, project, await forge.label(issue))
    const { handle, seen, letGo } = await holding(db)
    const delivering = deliver(db, 'label-router', labelled, handle)
    await seen
    await forge.person('PATCH', `${forge.issues}/${issue}`, { state: 'closed' })
    await take(await forge.hook(issue, 'closed'))
    letGo()
    await delivering
    expect(shown(await runs())).toEqual(['refused subject_closed'])
  })

  test('a label that is set again, with that handled whole, is not cancelled by its earlier removal', async ({
    db,
  }) => {
    const { project, take, runs } = await router(db)
    const issue = await forge.issue()
    await forge.label(issue)
    const unlabelled = await receive(db, project, await forge.unlabel(issue))
    const { handle, seen, letGo } = await holding(db)
    const delivering = deliver(db, 'label-router', unlabelled, handle)
    await seen
    await take(await forge.label(issue))
    letGo()
    expect((await delivering).outcome).toBe('ignored: it is not so any more')
    expect(shown(await runs())).toEqual(['queued'])
    expect(await saidOf(db, (await runs())[0]?.id ?? '')).toEqual(['stage.approved'])
  })

  test('what is taken away before there was a run is in the record all the same', async ({ db }) => {
    const { take } = await router(db)
    const issue = await forge.issue()
    await forge.label(issue)
    await take(await forge.unlabel(issue))
    const events = await db
      .selectFrom('outbox')
      .select(['type', 'record'])
      .where('producer', '=', 'label-router')
      .execute()
    expect(events).toMatchObject([
      { type: 'dev.codex-k8s.request.withdrawn.v1', record: { rows: { subjects: [{ version: 1 }] } } },
    ])
  })
})
