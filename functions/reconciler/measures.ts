import { subscriptions } from '#shared/events/subscriptions.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import { reasons } from '#shared/workflow/reasons.ts'

/** One metric: its name and what to do when it looks wrong. Without a type it is a gauge. */
export interface Metric {
  readonly name: string
  readonly help: string
  readonly type?: 'counter'
}

/**
 * One question to the database. A row is one series: a column named in `metrics` is a value, one named in `labels` a label,
 * whose values are those listed; what is not listed counts as `other`, so the number of series is known beforehand.
 */
export interface Measure {
  readonly name: string
  readonly metrics: Readonly<Record<string, Metric>>
  readonly labels?: Readonly<Record<string, readonly string[]>>
  /** Whether every listed value of its one label is 0 where no row says otherwise. */
  readonly zeros?: true
  readonly sql: string
}

const gauge = (name: string, help: string): Metric => ({ name: `codex_k8s_${name}`, help })
const counter = (name: string, help: string): Metric => ({ ...gauge(name, help), type: 'counter' })

const consumers = Object.keys(subscriptions)
const states = ['waiting_approval', 'queued', 'starting', 'running', 'publishing']

/** The newest events that the hour's figures look at; at more than five a second they are of less than an hour. */
const RECENT = `recent as (
  select id, type, subject, created_at from outbox
  where seq > (select coalesce(max(seq), 0) - 20000 from outbox) and created_at > now() - interval '1 hour')`

const age = (time: string) => `coalesce(greatest(extract(epoch from now() - ${time}), 0), 0)::float8`

/** Everything that `/metrics` says. Each question reads an index, or a stretch of fixed length. */
export const measures: readonly Measure[] = [
  {
    name: 'events',
    metrics: {
      written: counter('events_total', 'Events written; a number that was rolled back is counted, too.'),
      unsent: gauge('outbox_unsent', 'Events not on the broker yet. If it stays above 0: is the broker there?'),
      oldest: gauge('outbox_unsent_oldest_seconds', 'Age of the oldest event that is not on the broker.'),
    },
    sql: `select (select coalesce(max(seq), 0) from outbox)::float8 as written, count(*)::float8 as unsent,
      ${age('min(created_at)')} as oldest from outbox where sent_at is null`,
  },
  {
    name: 'lost',
    metrics: {
      lost: gauge(
        'events_lost',
        'Events of the last hour that nobody has to handle. Always 0; else the database was changed by hand or we have a bug.',
      ),
    },
    sql: `with ${RECENT} select count(*)::float8 as lost from recent
      where not exists (select from deliveries where outbox_id = recent.id)`,
  },
  {
    name: 'webhooks',
    metrics: {
      webhooks: gauge(
        'webhooks_last_hour',
        'Webhooks of the last hour by what became of them. accepted = done + pending + quarantined + lost; lost is always 0.',
      ),
    },
    labels: { outcome: ['accepted', 'done', 'pending', 'quarantined', 'lost'] },
    zeros: true,
    sql: `with hour as (
        select inbox.state, outbox.id, bool_or(deliveries.state = 'quarantined') as quarantined, bool_or(deliveries.state = 'pending') as pending
        from inbox left join outbox on outbox.inbox_id = inbox.id left join deliveries on deliveries.outbox_id = outbox.id
        where inbox.received_at > now() - interval '1 hour' group by inbox.id, outbox.id
      ), settled as (
        select case when state = 'quarantined' or quarantined then 'quarantined' when id is null or pending is null then 'lost'
          when pending then 'pending' else 'done' end as outcome from hour
      )
      select outcome, count(*)::float8 as webhooks from settled group by outcome
      union all select 'accepted', count(*)::float8 from settled`,
  },
  {
    name: 'webhooks-quarantined',
    metrics: {
      webhooks: gauge(
        'webhooks_quarantined',
        'Authentic webhooks set aside. See inbox.reason, then correct the cause.',
      ),
    },
    sql: `select count(*)::float8 as webhooks from inbox where state = 'quarantined'`,
  },
  {
    name: 'deliveries',
    metrics: {
      pending: gauge('deliveries_pending', 'Deliveries that their consumer has not settled.'),
      overdue: gauge(
        'deliveries_overdue',
        'Pending deliveries due for more than a minute. Is the consumer failing? See its log.',
      ),
      oldest: gauge('deliveries_oldest_seconds', 'Age of the pending delivery that was due first.'),
    },
    labels: { consumer: consumers },
    zeros: true,
    sql: `select consumer, count(*)::float8 as pending,
        count(*) filter (where deliveries.due_at < now() - interval '1 minute')::float8 as overdue, ${age('min(outbox.created_at)')} as oldest
      from deliveries join outbox on outbox.id = outbox_id where deliveries.state = 'pending' group by consumer`,
  },
  {
    name: 'deliveries-quarantined',
    metrics: {
      quarantined: gauge(
        'deliveries_quarantined',
        'Deliveries out of the way. kn codex deadletters list says why, redrive puts them back.',
      ),
    },
    labels: { consumer: consumers },
    zeros: true,
    sql: `select consumer, count(*)::float8 as quarantined from deliveries where state = 'quarantined' group by consumer`,
  },
  {
    name: 'ledger',
    metrics: {
      entries: counter('ledger_entries_total', 'Entries of the ledger.'),
      lag: gauge('ledger_lag_events', 'Events that are not in the ledger yet. If it grows: the log of audit-sink.'),
      seconds: gauge('ledger_lag_seconds', 'Age of the oldest event that is not in the ledger.'),
    },
    sql: `select (select coalesce(max(seq), 0) from ledger)::float8 as entries, count(*)::float8 as lag, ${age('min(outbox.created_at)')} as seconds
      from deliveries join outbox on outbox.id = outbox_id where consumer = 'audit-sink' and deliveries.state <> 'done'`,
  },
  {
    name: 'runs',
    metrics: {
      runs: gauge('runs_active', 'Runs that are not over, by state.'),
      oldest: gauge('runs_oldest_seconds', 'How long the run that was longest in this state has been in it.'),
    },
    labels: { state: states },
    zeros: true,
    sql: `select state, count(*)::float8 as runs, ${age('min(updated_at)')} as oldest from runs
      where state in (${states.map((state) => `'${state}'`).join(', ')}) group by state`,
  },
  {
    name: 'ends',
    metrics: { runs: gauge('runs_ended_last_hour', 'Runs that ended in the last hour, by how and why.') },
    labels: { state: ['refused', 'succeeded', 'failed', 'cancelled'], reason: ['none', ...Object.keys(reasons)] },
    sql: `with ${RECENT}, ended as (
        select distinct runs.id, runs.state, runs.reason from recent join runs on recent.subject = 'runs/' || runs.id
        where runs.state in ('refused', 'succeeded', 'failed', 'cancelled') and runs.updated_at > now() - interval '1 hour')
      select state, coalesce(reason, 'none') as reason, count(*)::float8 as runs from ended group by 1, 2`,
  },
  {
    name: 'attempts',
    metrics: {
      open: gauge('attempts_open', 'Attempts under way; each has a Job.'),
      silent: gauge('attempts_silent', 'Attempts without a sign of life for two minutes. Look at their Jobs.'),
      quietest: gauge('attempts_silent_seconds', 'Longest time that an open attempt has been silent.'),
      late: gauge(
        'attempts_past_deadline',
        'Open attempts past their deadline. If it stays: stage-dispatcher is not swept.',
      ),
    },
    sql: `with open as (select coalesce(last_seen_at, created_at) as seen, deadline_at from attempts where state in ('intended', 'created'))
      select count(*)::float8 as open, count(*) filter (where seen < now() - interval '2 minutes')::float8 as silent,
        ${age('min(seen)')} as quietest, count(*) filter (where deadline_at < now())::float8 as late from open`,
  },
  {
    name: 'approvals',
    metrics: {
      pending: gauge('approvals_pending', 'Approvals that wait for a decision.'),
      expired: gauge(
        'approvals_overdue',
        'Approvals still pending after their expiry. If it stays: approval-gate is not swept.',
      ),
      oldest: gauge('approvals_oldest_seconds', 'Age of the oldest approval that waits.'),
    },
    sql: `select count(*)::float8 as pending, count(*) filter (where expires_at < now())::float8 as expired, ${age('min(requested_at)')} as oldest
      from approvals where state = 'pending'`,
  },
  {
    name: 'tokens-reserved',
    metrics: {
      reserved: gauge('model_tokens_reserved', 'Tokens held by model calls under way.'),
      calls: gauge('model_calls_open', 'Model calls under way.'),
    },
    sql: `select coalesce(sum(reserved_tokens), 0)::float8 as reserved, count(*)::float8 as calls from model_calls where state = 'reserved'`,
  },
  {
    name: 'tokens',
    metrics: {
      tokens: gauge(
        'model_tokens_last_hour',
        'Tokens of the last hour: charged to budgets, and what the model said of them.',
      ),
    },
    labels: { kind: ['charged', 'input', 'output'] },
    zeros: true,
    sql: `with hour as (select * from model_calls where created_at > now() - interval '1 hour')
      select 'charged' as kind, coalesce(sum(charged_tokens), 0)::float8 as tokens from hour
      union all select 'input', coalesce(sum(input_tokens), 0)::float8 from hour
      union all select 'output', coalesce(sum(output_tokens), 0)::float8 from hour`,
  },
  {
    name: 'comments',
    metrics: {
      behind: gauge(
        'comments_behind',
        'Service comments that do not show the newest state. If it stays: the log of status-reporter.',
      ),
    },
    sql: `select count(*)::float8 as behind from comments where wanted > done`,
  },
  {
    name: 'hooks',
    metrics: {
      unheard: gauge(
        'hooks_unheard',
        'Hooks older than an hour that never delivered. Was the hook added at the forge, and is its secret right?',
      ),
      rotating: gauge('hooks_rotating', 'Hooks whose previous secret is still good.'),
    },
    sql: `select count(*) filter (where created_at < now() - interval '1 hour'
          and not exists (select from inbox where hook_id = hooks.id))::float8 as unheard,
        count(*) filter (where previous_until > now())::float8 as rotating from hooks`,
  },
  {
    name: 'durations',
    metrics: {
      seconds: gauge('run_step_seconds', 'How long a step of a run took, of those that ended in the last hour.'),
    },
    labels: { step: ['label_to_start', 'start_to_result', 'result_to_pull_request'], quantile: ['0.5', '0.99'] },
    sql: `with ${RECENT}, at as (
        select runs.requested_at, attempts.created_at as started_at, attempts.finished_at, recent.type, recent.created_at
        from recent join runs on recent.subject = 'runs/' || runs.id
        join lateral (select * from attempts where run_id = runs.id order by attempt desc limit 1) attempts on true
        where recent.type in ('${EVENT_TYPES.runStarted}', '${EVENT_TYPES.runFinished}', '${EVENT_TYPES.changePublished}')
      ), steps as (
        select 'label_to_start' as step, created_at - requested_at as took from at where type = '${EVENT_TYPES.runStarted}'
        union all select 'start_to_result', created_at - started_at from at where type = '${EVENT_TYPES.runFinished}'
        union all select 'result_to_pull_request', created_at - finished_at from at where type = '${EVENT_TYPES.changePublished}'
      )
      select step, quantile::text as quantile,
        greatest(extract(epoch from percentile_cont(quantile) within group (order by took)), 0)::float8 as seconds
      from steps cross join (values (0.5::float8), (0.99)) as wanted (quantile) group by step, quantile`,
  },
]
