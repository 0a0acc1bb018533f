import type { Database, Row } from '#shared/db/schema.ts'

type Table = keyof Database

/** Columns that the ledger does not keep, each with the reason. */
type Left<T extends Table> = { readonly [C in keyof Row<T>]?: string }

/**
 * Every table and view: a projection, which is rebuilt from the ledger, with the columns that are not; or why nothing of it is
 * in the ledger. Whoever changes a row of a projection puts the whole row into the `rows` of the event about it, in the
 * same transaction.
 */
export const recorded = {
  projects: {},
  hooks: {},
  inbox: { body: 'content; body_digest says which' },
  subjects: {},
  bundles: {},
  changes: {},
  runs: {},
  attempts: { last_seen_at: 'heartbeat', progressed_at: 'heartbeat' },
  intents: {},
  progress: {},
  model_calls: { expires_at: 'lease of the open stream' },
  approvals: {},
  decisions: {},
  links: {},
  grants: {},
  outbox: 'transport: each row is an entry of the ledger itself',
  deliveries: 'transport: what is still to be done, and how often it was tried',
  ledger: 'what everything is rebuilt from',
  accounting: 'a view',
  sweeps: 'when the reconciler last went round',
  migrations: 'what this schema is',
  blobs: 'content by its digest; rows name the digests',
  uploads: 'content on its way; the result of the attempt names what counts',
  comments: 'queue and lease of the service comment; that there is one is an intent',
  hook_checks: 'how far the forge was asked; what it led to is an inbox row',
  redeliveries: 'what the forge was asked for; what came is an inbox row',
  label_scans: 'how far the forge was asked; what it led to is an event',
  forge_pace: 'what may be asked of the forge just now',
} as const satisfies { readonly [T in Table]: Left<T> | string }

/** A table that is rebuilt from the ledger. */
export type Projection = { [T in Table]: (typeof recorded)[T] extends string ? never : T }[Table]
