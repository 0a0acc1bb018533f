import type { ColumnType, Generated, GeneratedAlways, JSONColumnType, Selectable } from 'kysely'
import type { ApprovalPolicy, Manifest } from '#shared/job/bundle.ts'

type Time = ColumnType<Date, Date | string, Date | string>
type Default<T extends ColumnType<Date, Date | string, Date | string>> = ColumnType<
  Date,
  Date | string | undefined,
  T['__update__']
>
type Json<T extends object> = JSONColumnType<T, string, string>

/** States of a run; the ones of `ACTIVE_STATES` count against capacity and against one active run per subject and stage. */
export type RunState =
  | 'refused'
  | 'waiting_approval'
  | 'queued'
  | 'starting'
  | 'running'
  | 'publishing'
  | 'succeeded'
  | 'failed'
  | 'cancelled'

/** As in the index `runs_active`. */
export const ACTIVE_STATES = [
  'waiting_approval',
  'queued',
  'starting',
  'running',
  'publishing',
] as const satisfies RunState[]

/** Types of the tables in `migrations/`; the comments are there. */
export interface Database {
  projects: {
    id: Generated<string>
    provider: 'github' | 'gitlab'
    instance: string
    repository_id: string
    full_name: string
    installation_id: string | null
    own_actor_id: string
    settings: Json<Record<string, unknown>>
    max_active: Generated<number>
    state: Generated<'connected' | 'disconnected'>
    created_at: Default<Time>
  }
  hooks: {
    id: string
    provider: 'github' | 'gitlab'
    instance: string
    project_id: string | null
    secret_name: string
    previous_secret_name: string | null
    previous_until: Time | null
    created_at: Default<Time>
  }
  inbox: {
    id: Generated<string>
    hook_id: string
    delivery_id: string
    event_name: string
    body: Buffer
    body_digest: string
    project_id: string | null
    state: 'accepted' | 'quarantined'
    reason: string | null
    received_at: Default<Time>
  }
  outbox: {
    id: Generated<string>
    seq: GeneratedAlways<number>
    source: string
    event_id: string
    type: string
    subject: string
    producer: string
    event: Json<Record<string, unknown>>
    record: Json<Record<string, unknown>>
    inbox_id: string | null
    created_at: Default<Time>
    due_at: Default<Time>
    attempts: Generated<number>
    lease: string | null
    lease_until: Time | null
    sent_at: Time | null
  }
  deliveries: {
    outbox_id: string
    consumer: string
    state: Generated<'pending' | 'done' | 'quarantined'>
    due_at: Time
    attempts: Generated<number>
    outcome: string | null
    error: Json<Record<string, unknown>> | null
    settled_at: Time | null
    /** The outbox row's place in order; null where an older release wrote the row. */
    outbox_seq: string | null
  }
  subjects: {
    project_id: string
    id: string
    kind: 'issue' | 'pull_request'
    number: number
    version: Generated<number>
  }
  blobs: { digest: string; bytes: Buffer; created_at: Default<Time> }
  bundles: { digest: string; manifest: Json<Manifest>; created_at: Default<Time> }
  changes: {
    id: Generated<string>
    project_id: string
    subject_id: string
    base_ref: string
    base_commit: string
    branch: string
    head_commit: string | null
    pull_number: number | null
    pull_url: string | null
    version: Generated<number>
    created_at: Default<Time>
    updated_at: Default<Time>
  }
  runs: {
    id: Generated<string>
    project_id: string
    provider: 'github' | 'gitlab'
    instance: string
    repository_id: string
    subject_id: string
    subject_number: number
    label_event_id: string
    label: string
    stage: string
    requester_id: string
    requester_login: string
    requested_at: Time
    state: RunState
    reason: string | null
    detail: string | null
    version: Generated<number>
    judged_at: Default<Time>
    bundle_digest: string | null
    change_id: string | null
    ahead: Generated<number | null>
    /** W3C trace context of what created it. */
    traceparent: string | null
    created_at: Default<Time>
    updated_at: Default<Time>
  }
  attempts: {
    run_id: string
    attempt: number
    fence: Generated<number>
    state: Generated<'intended' | 'created' | 'finished' | 'lost' | 'stopped'>
    result_digest: string | null
    reason: string | null
    deadline_at: Time
    last_seen_at: Time | null
    progressed_at: Time | null
    created_at: Default<Time>
    finished_at: Time | null
  }
  intents: {
    id: Generated<string>
    kind: 'job' | 'comment' | 'pull_request'
    name: string
    namespace: Generated<string | null>
    run_id: string
    attempt: number | null
    state: Generated<'intended' | 'done' | 'gone'>
    external_id: string | null
    created_at: Default<Time>
    settled_at: Time | null
  }
  uploads: { run_id: string; attempt: number; digest: string }
  progress: { run_id: string; attempt: number; sequence: number; kind: string; text: string; at: Default<Time> }
  model_calls: {
    id: Generated<string>
    run_id: string
    attempt: number
    state: Generated<'reserved' | 'settled' | 'charged'>
    reserved_tokens: number
    charged_tokens: number
    input_tokens: number | null
    output_tokens: number | null
    expires_at: Time
    created_at: Default<Time>
  }
  approvals: {
    id: Generated<string>
    run_id: string
    bundle_digest: string
    policy: Json<ApprovalPolicy>
    state: Generated<'pending' | 'approved' | 'denied' | 'expired' | 'stale' | 'withdrawn'>
    version: Generated<number>
    requested_at: Default<Time>
    expires_at: Time
    decided_at: Time | null
    consumed_at: Time | null
  }
  decisions: {
    key: string
    approval_id: string
    actor_id: string
    decision: 'approve' | 'deny'
    reason: string | null
    decided_at: Default<Time>
    source: Generated<'comment' | 'label' | 'api'>
    label: string | null
    actor_login: Generated<string>
    command: Generated<string>
    refusal: string | null
    state: Generated<string>
    approvals: Generated<number>
  }
  links: {
    from_kind: string
    from_id: string
    relation: string
    to_kind: string
    to_id: string
    created_at: Default<Time>
  }
  comments: {
    run_id: string
    comment_id: string | null
    shown: string | null
    edited_at: Time | null
    wanted: Generated<number>
    done: Generated<number>
    lease: string | null
    lease_until: Time | null
    approval_digest: string | null
    approval_shown_at: Time | null
  }
  hook_checks: {
    hook_id: string
    forge_hook_id: string
    next_check_at: Default<Time>
    checked_until: Default<Time>
    cursor: string | null
    listed_from: Time | null
    problem: string | null
  }
  redeliveries: {
    hook_id: string
    delivery_id: string
    attempt_id: string
    repository_id: string | null
    delivered_at: Time
    state: Generated<'missing' | 'given_up'>
    requests: Generated<number>
    due_at: Default<Time>
    found_at: Default<Time>
  }
  label_scans: {
    project_id: string
    next_scan_at: Time
    scanned_until: Time
    page: number | null
    listed_from: Time | null
  }
  forge_pace: {
    instance: string
    account: string
    points_until: Time
    minute_until: Time
    hour_until: Time
    silent_until: Time
    strikes: Generated<number>
  }
  grants: {
    id: Generated<string>
    kind: 'user' | 'group'
    name: string
    role: 'viewer' | 'operator' | 'admin'
    project_id: string | null
    granted_by: string
    granted_at: Default<Time>
    revoked_by: string | null
    revoked_at: Time | null
  }
  sweeps: { one: Generated<boolean>; last_at: Time }
  /** Only read: `migrate` writes it as the owner. */
  migrations: { name: string; digest: string; applied_at: Time }
  ledger: { seq: number; outbox_id: string; previous: string; hash: string; entry: string }
  accounting: {
    accepted: number
    done: number
    pending: number
    quarantined: number
    lost: number
    deliveries_pending: number
    deliveries_quarantined: number
    unsent: number
  }
}

/** A whole row of a table. */
export type Row<T extends keyof Database> = Selectable<Database[T]>
