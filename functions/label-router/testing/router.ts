import type { Db } from '#shared/db/connect.ts'
import type { Row } from '#shared/db/schema.ts'
import { noRelay, post, quiet } from '#shared/edge/testing/post.ts'
import { forgeForFile } from '#shared/run/testing/forge.ts'
import { receive } from '#shared/run/testing/receive.ts'
import { defaultWorkflow } from '#shared/workflow/default-workflow.ts'
import { create } from '../app.ts'

/** One forge for a file of tests, and routers on it. */
export function routers() {
  const forge = forgeForFile()
  return {
    forge,
    /** A router on a test's database, with the repository connected. */
    async router(
      db: Db,
      more: Parameters<typeof forge.project>[1] & { models?: readonly string[]; machine?: true } = {},
    ) {
      const { models = ['gpt-5.4-mini'], machine = false, ...columns } = more
      const github = machine ? forge.machine() : forge.github()
      const project = await forge.project(db, columns)
      const workflow = await defaultWorkflow()
      const app = create({ workflow, models, model: undefined }, { db, relay: noRelay, log: quiet, github })
      return {
        app,
        project,
        /** Stores a webhook's body and posts its event. */
        take: async (body: object) => post(app, db, 'label-router', await receive(db, project, body, eventOf(body))),
        post: (outboxId: string) => post(app, db, 'label-router', outboxId),
        runs: (): Promise<Row<'runs'>[]> =>
          db.selectFrom('runs').selectAll().orderBy('created_at').orderBy('label_event_id').execute(),
      }
    },
  }
}

/** The event that a webhook's body is of, with what the gateway says of it. */
function eventOf(body: object) {
  const event = 'review' in body ? 'pull_request_review' : 'pull_request' in body ? 'pull_request' : 'issues'
  return { event, extensions: { labelgroup: 'run', reviewstate: 'changes_requested' } }
}
