-- Approvals are decided, used once, and end with their run.

alter table approvals
  -- When the run's first attempt was committed under this approval: from then on it opens nothing more.
  add column consumed_at timestamptz(3);
-- `withdrawn`: the run ended before anybody decided.
alter table approvals drop constraint approvals_state_check;
alter table approvals add constraint approvals_state_check
  check (state in ('pending', 'approved', 'denied', 'expired', 'stale', 'withdrawn'));
alter table approvals add constraint approvals_consumed check (consumed_at is null or state = 'approved');
-- What the sweep looks for.
create index approvals_open on approvals (expires_at) where state in ('pending', 'approved') and consumed_at is null;

alter table decisions
  add column source text not null default 'api' check (source in ('comment', 'label', 'api')),
  -- Default name of the label that was set.
  add column label text,
  -- As the forge showed it at the decision; the id is what counts.
  add column actor_login text not null default '',
  -- SHA-256 over the command: the same key with another command is a mistake of the sender.
  add column command text not null default '',
  -- Why it does not count, a code of the table in shared/workflow/refusals.ts; null: it counts.
  add column refusal text,
  -- The approval's state and its approvals so far, right after this decision: what a repeated command is answered.
  add column state text not null default 'pending',
  add column approvals integer not null default 0;
-- One voice per person; who has approved may still deny. What does not count is kept beside it.
alter table decisions drop constraint decisions_approval_id_actor_id_key;
create unique index decisions_counted on decisions (approval_id, actor_id, decision) where refusal is null;
create index decisions_approval on decisions (approval_id, decided_at);

-- Since when, by the forge's clock, the service comment has shown the digest that is to be approved.
alter table comments add column approval_digest text;
alter table comments add column approval_shown_at timestamptz(3);
