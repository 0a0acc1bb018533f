import type { Db } from '#shared/db/connect.ts'
import { eventApp } from '#shared/edge/event-app.ts'
import type { App } from '#shared/edge/serve.ts'
import type { GitHub } from '#shared/forge/github/client.ts'
import type { Log } from '#shared/log.ts'
import type { Relay } from '#shared/outbox/relay.ts'
import type { Workflow } from '#shared/workflow/workflow.ts'
import { catchUp } from './catch-up.ts'
import { catching } from './catch-up-store.ts'
import { githubDeliveries, githubForge, githubLabelChanges } from './github.ts'
import { labelRouter } from './handler.ts'
import { labelScan } from './label-scan.ts'
import { scanning } from './label-scan-store.ts'
import { store } from './store.ts'

/** What an installation decides. */
export interface Config {
  readonly workflow: Workflow
  /** Models that an `ai-model:` label may choose. */
  readonly models: readonly string[]
  /** The model of every stage, instead of the one that the stage names. */
  readonly model: string | undefined
}

/** A label change becomes a run, a refusal with a reason, or nothing. */
export function create(config: Config, clients: { db: Db; relay: Relay; log: Log; github: GitHub }): App {
  const { db, relay, log, github } = clients
  const handle = labelRouter({ ...config, ...store(db), forge: (project) => githubForge(github, project) })
  const sweep = catchUp({
    ...catching(db),
    deliveriesOf: (project, forgeHookId) => githubDeliveries(github, project, forgeHookId),
    scanLabels: labelScan({
      ...scanning(db),
      changes: (project, page) => githubLabelChanges(github, project, page),
      log,
    }),
    log,
  })
  return eventApp({ consumer: 'label-router', db, relay, log, handle, sweep, close: () => db.destroy() })
}
