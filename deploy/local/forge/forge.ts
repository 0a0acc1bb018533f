import type { HttpBindings } from '@hono/node-server'
import type { KeyObject } from 'node:crypto'

import type { Caller, Credentials } from './credentials.ts'
import type { Deliveries } from './deliveries.ts'
import type { Engine, State } from './engine.ts'
import type { Faults } from './faults.ts'
import type { Hook } from './hooks.ts'
import type { Ledger } from './ledger.ts'
import type { RepoRow, UserRow } from './rows.ts'

/** An App on an account, for some or all of its repositories. */
export interface Installation {
  readonly id: number
  readonly account: UserRow
  readonly repositories: 'all' | Set<number>
  readonly createdAt: string
}

/** A GitHub App. */
export interface App {
  readonly id: number
  readonly clientId: string
  readonly slug: string
  readonly name: string
  readonly bot: UserRow
  readonly privateKey: string
  readonly publicKey: KeyObject
  readonly permissions: Readonly<Record<string, string>>
  readonly events: readonly string[]
  readonly hook: Hook
  readonly installations: Installation[]
  readonly createdAt: string
}

/** Everything one running forge consists of. */
export interface Forge {
  readonly url: string
  readonly engine: Engine
  readonly state: State
  readonly ledger: Ledger
  readonly credentials: Credentials
  readonly apps: App[]
  readonly hooks: Hook[]
  readonly deliveries: Deliveries
  readonly faults: Faults
  /** When the body of an issue or pull request was last edited, by id of the issue; RFC 3339, whole seconds. */
  readonly edited: Map<number, string>
  /** Commits that count as signed by GitHub itself. */
  readonly signed: Set<string>
  /** An id that no run before or after uses. */
  nextId(): number
}

/** What our routes find in a request's context. */
export interface Env {
  Bindings: HttpBindings
  Variables: { caller: Caller; text: string; body: unknown }
}

/** The App's installation that covers a repository. */
export function installationOn(app: App, repo: RepoRow): Installation | undefined {
  return app.installations.find(
    ({ account, repositories }) =>
      account.id === repo.owner_id && (repositories === 'all' || repositories.has(repo.id)),
  )
}
