import type * as v from 'valibot'
import type { operations } from '#api/operations.gen.ts'
import type { Db } from '#shared/db/connect.ts'
import type { Problem } from '#shared/edge/problem.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import type { GitHub } from '#shared/forge/github/client.ts'
import type { Log } from '#shared/log.ts'
import type { Writer } from '#shared/outbox/deliver.ts'
import type { Relay } from '#shared/outbox/relay.ts'
import type { Held } from './decide.ts'
import type { Caller } from './token-review.ts'

/** What an installation says about its staff API. */
export interface Config {
  /** Audiences of tokens that are taken; only said to who brings another one. */
  readonly audiences: readonly string[]
  /** Admins of everything: `user:NAME` or `group:NAME`. */
  readonly admins: readonly string[]
  /** Where the forge reaches webhook-gateway; undefined: no project can be connected. */
  readonly publicUrl: string | undefined
  readonly runNamespaces: readonly string[]
  /** Where the Secret with the hooks' secrets is mounted. */
  readonly secretsDir: string
  /** How we speak to the forge. */
  readonly forgeAuth: 'app' | 'token'
  /** The newest migration that this version knows. */
  readonly newestMigration: string
  readonly serviceUrl: (name: string) => string
  /** Whether an answer is held against the contract, too; in tests. */
  readonly checkAnswers?: boolean
}

/** The world of the staff API. */
export interface Clients {
  readonly db: Db
  readonly relay: Relay
  readonly log: Log
  readonly github: GitHub
  /** Whose token it is; undefined: nobody's. */
  readonly review: (token: string) => Promise<Caller | undefined>
}

/** An operation of the contract. */
export type OperationId = keyof typeof operations

type Parsed<S> = S extends v.GenericSchema ? v.InferOutput<S> : undefined

/** A request that holds to the contract, of somebody who may. */
export interface Asked<K extends OperationId> {
  readonly caller: Caller
  readonly held: readonly Held[]
  /** The projects that a list may show. */
  readonly sees: 'all' | readonly string[]
  readonly path: Parsed<(typeof operations)[K]['pathSchema']>
  readonly query: Parsed<(typeof operations)[K]['querySchema']>
  readonly body: Parsed<(typeof operations)[K]['bodySchema']> | undefined
}

/** A no, for the person who asked. */
export interface Refusal {
  readonly refused: Problem
  readonly retryAfterSeconds?: number
}

/** What is answered with 200, or why not. */
export type Answer<K extends OperationId> = v.InferInput<(typeof operations)[K]['responseSchema']> | Refusal

/** What each operation of the contract does. */
export type Operations = {
  readonly [K in OperationId]: (asked: Asked<K>) => Promise<Answer<K>>
}

/** A refusal with the status 409: things are not so. */
export const conflict = (code: string, title: string, detail?: string): Refusal => ({
  refused: { status: 409, code, title, ...(detail !== undefined && { detail }) },
})

/** There is no such thing, or it is not for the one who asks to see. */
export const notFound: Refusal = {
  refused: {
    status: 404,
    code: 'not_found',
    title: 'Not found',
    detail: 'Look at the id; what you may not see is not found.',
  },
}

export const badCursor: Refusal = {
  refused: {
    status: 400,
    code: 'invalid',
    title: 'Not a cursor of this list',
    detail: 'Take `next` of an answer, or begin without.',
  },
}

/** What somebody of the staff did, for the ledger. */
export interface Act {
  /** As in `run.cancelled`. */
  readonly action: string
  /** What it was done to, e.g. `runs/<id>`. */
  readonly subject: string
  readonly project?: string
  /** Identifiers; no text of others. */
  readonly more?: Readonly<Record<string, string | number | null>>
}

/** Writes who did what into the transaction that does it. */
export function recordAct({ emit }: Writer, { user }: Caller, { action, subject, project, more }: Act): Promise<void> {
  return emit({
    type: EVENT_TYPES.staffActed,
    subject,
    extensions: { project },
    data: { by: user, action, ...more },
    rows: {},
  })
}
