/** An event as a handler sees it: its content comes from our own outbox row, never from what was posted. */
export interface Delivered {
  /** Primary key of the outbox row. */
  readonly outboxId: string
  readonly source: string
  readonly id: string
  readonly type: string
  readonly subject: string
  /** RFC 3339. */
  readonly time: string
  readonly extensions: Readonly<Record<string, string>>
  /** Parsed JSON; of a forge's event the signed body. */
  readonly data: unknown
  /** The project the gateway found for a forge's event. */
  readonly projectId: string | null
}

/** What a posted CloudEvent says of itself; only good enough to find the outbox row. */
export interface EventRef {
  readonly source: string
  readonly id: string
}
