import type { Db } from '#shared/db/connect.ts'
import { eventApp } from '#shared/edge/event-app.ts'
import type { App } from '#shared/edge/serve.ts'
import type { GitHub } from '#shared/forge/github/client.ts'
import type { Log } from '#shared/log.ts'
import type { Relay } from '#shared/outbox/relay.ts'
import { githubForge } from './github.ts'
import { changePublisher } from './handler.ts'
import { store } from './store.ts'

/** Values of this installation that no change may contain, e.g. our own tokens. */
export interface Config {
  readonly canaries: readonly string[]
}

/** A finished run's change becomes a commit and one pull request, or a reason why not. */
export function create(
  { canaries }: Config,
  { db, relay, log, github }: { db: Db; relay: Relay; log: Log; github: GitHub },
): App {
  const handle = changePublisher({ ...store(db), canaries, forge: (project) => githubForge(github, project) })
  return eventApp({ consumer: 'change-publisher', db, relay, log, handle, close: () => db.destroy() })
}
